// Runs before each request: signs what is to be signed, with what the collection's
// variables hold. Postman's sandbox has no Web Crypto under newman, so RSA is done with
// BigInt: signing needs no randomness, and the key is a throw-away one.

const variable = (name) => pm.variables.get(name) || "";
const words = CryptoJS.enc;
const path = () => "/" + pm.request.url.path.join("/");

const base64url = (given) => {
  const bytes = typeof given === "string" ? words.Utf8.parse(given) : given;
  const text = words.Base64.stringify(bytes);
  return text.replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
};

const number = (part) => {
  const text = part.replace(/-/g, "+").replace(/_/g, "/");
  return BigInt("0x" + words.Base64.parse(text).toString(words.Hex));
};

// RFC 8017, sections 8.2.1 and 9.2: RSASSA-PKCS1-v1_5 with SHA-384.
const SHA384 = "3041300d060960864801650304020205000430";

const sign = (text, jwk) => {
  const modulus = number(jwk.n);
  const digits = Math.ceil(modulus.toString(16).length / 2) * 2;
  const told = "00" + SHA384 + CryptoJS.SHA384(text).toString(words.Hex);
  const padded = "0001" + "f".repeat(digits - told.length - 4) + told;
  let base = BigInt("0x" + padded);
  let power = number(jwk.d);
  let signed = 1n;
  for (; power > 0n; power >>= 1n) {
    if (power & 1n) signed = (signed * base) % modulus;
    base = (base * base) % modulus;
  }
  const hex = signed.toString(16).padStart(digits, "0");
  return base64url(words.Hex.parse(hex));
};

// CDS Hooks 3.0.0 "Trusting CDS Clients": made for this URL, and used once.
const token = () => {
  const now = Math.floor(Date.now() / 1000);
  const header = { alg: "RS384", typ: "JWT", kid: variable("kid") };
  const claims = {
    iss: variable("issuer"),
    aud: variable("audience") + path(),
    iat: now,
    exp: now + 300,
    jti: pm.variables.replaceIn("{{$guid}}"),
  };
  if (variable("tenant")) claims.tenant = variable("tenant");
  const said = [header, claims].map((each) => base64url(JSON.stringify(each)));
  const text = said.join(".");
  return text + "." + sign(text, JSON.parse(variable("privateKey")));
};

// Standard Webhooks.
const proof = (id, time) => {
  const key = words.Base64.parse(variable("webhookSecret").replace("whsec_", ""));
  const text = [id, time, pm.request.body.raw].join(".");
  return "v1," + CryptoJS.HmacSHA256(text, key).toString(words.Base64);
};

const headers = pm.request.headers;
if (headers.get("Authorization")) {
  if (variable("privateKey")) pm.variables.set("token", token());
  else headers.remove("Authorization");
}
if (headers.get("webhook-signature")) {
  const id = pm.variables.replaceIn("{{$guid}}");
  const time = Math.floor(Date.now() / 1000);
  pm.variables.set("deliveryId", id);
  pm.variables.set("deliveryTime", String(time));
  pm.variables.set("signature", proof(id, time));
}
