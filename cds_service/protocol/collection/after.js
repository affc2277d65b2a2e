// Runs after each request: the status is the one that is described, and so is the body.

const { expected, schemas, needs } = JSON.parse(TOLD);
const statuses = [expected];
// Without what signs, a server that asks for it answers 401, and that is right.
if (needs && !pm.variables.get(needs)) statuses.push(401);
// A source of wearable data delivers what the server lists for it, and nothing else.
else if (needs === "webhookSecret") statuses.push(403);

pm.test("answers " + statuses.join(" or "), () => {
  pm.expect(statuses).to.include(pm.response.code);
});
const schema = schemas[pm.response.code];
if (schema) {
  pm.test("keeps its schema", () => pm.response.to.have.jsonSchema(schema));
}
pm.test("is not stored on the way", () => {
  pm.expect(pm.response.headers.get("Cache-Control")).to.equal("no-store");
});
