import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.DefaultProfileValidationSupport;
import ca.uhn.fhir.validation.FhirValidator;
import ca.uhn.fhir.validation.ResultSeverityEnum;
import ca.uhn.fhir.validation.SingleValidationMessage;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.TreeMap;
import org.hl7.fhir.common.hapi.validation.support.CommonCodeSystemsTerminologyService;
import org.hl7.fhir.common.hapi.validation.support.InMemoryTerminologyServerValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.ValidationSupportChain;
import org.hl7.fhir.common.hapi.validation.validator.FhirInstanceValidator;

/**
 * Holds resources, one JSON object a line, to FHIR R4 and to the core profiles that they claim. A second
 * argument has warnings shown as well.
 */
class Validate {
  private static final Set<ResultSeverityEnum> WRONG =
      Set.of(ResultSeverityEnum.ERROR, ResultSeverityEnum.FATAL);

  public static void main(String[] files) throws Exception {
    FhirContext context = FhirContext.forR4();
    ValidationSupportChain support =
        new ValidationSupportChain(
            new DefaultProfileValidationSupport(context),
            new CommonCodeSystemsTerminologyService(context),
            new InMemoryTerminologyServerValidationSupport(context));
    FhirInstanceValidator module = new FhirInstanceValidator(support);
    // Those of implementation guides are packages of their own, which may not be at hand.
    module.setErrorForUnknownProfiles(false);
    FhirValidator validator = context.newValidator().registerValidatorModule(module);
    int resources = 0;
    int wrong = 0;
    int doubts = 0;
    TreeMap<String, Integer> told = new TreeMap<>();
    for (String line : Files.readAllLines(Path.of(files[0]))) {
      resources++;
      for (SingleValidationMessage each : validator.validateWithResult(line).getMessages()) {
        boolean isWrong = WRONG.contains(each.getSeverity());
        wrong += isWrong ? 1 : 0;
        doubts += isWrong ? 0 : 1;
        if (isWrong || files.length > 1) {
          String where = each.getSeverity().getCode() + " " + each.getLocationString();
          told.merge(where + ": " + each.getMessage(), 1, Integer::sum);
        }
      }
    }
    told.forEach((text, times) -> System.out.println(times + " x " + text));
    System.out.println(resources + " resources, " + wrong + " errors, " + doubts + " warnings");
    System.exit(resources > 0 && wrong == 0 ? 0 : 1);
  }
}
