// An EHR for the tests: an authorization server (oidc-provider) that opens SMART apps,
// and the FHIR server behind it. Whoever signs in is signed in at once, and permits all.
//
// node oidc.mjs <folder of oidc-provider>; it prints its address once it listens.
//
// POST /control/state    what holds from now on (see `state`)
// POST /control/client   registers a client, with the metadata of OpenID Connect
// POST /control/launch   opens a chart; answers {launch}
// POST /control/chart    what the FHIR server holds: {"Patient/1": {...}, ...}
// POST /control/revoke   takes back every permission that was given
// POST /control/expire   ends every access token, whatever was said of its time
// GET  /control/seen     every request but these, oldest first

import { generateKeyPairSync, randomBytes } from "node:crypto";
import { createServer } from "node:http";

const { Provider } = await import(`${process.argv[2]}/lib/index.js`);

const usual = {
  user: "Practitioner/7", // fhirUser; "" for none
  authenticated: 0, // seconds ago, when somebody signs in
  absolute: false, // fhirUser as a whole address
  accessSeconds: 3600,
  rotate: true, // refresh tokens are good once
  refreshes: true, // there are refresh tokens
  drop: [], // scopes that are never granted
  newer: true, // scopes of SMART 2
  supported: undefined, // scopes_supported
  more: [], // capabilities beside the usual
  published: true, // .well-known/smart-configuration is there
  refuses: [], // types of resources for which no token is taken; * for all
  context: {}, // beside every token, over what a launch says
  again: {}, // likewise, when it is renewed
};
let state = { ...usual };
let chart = {};
let seen = [];
const launches = new Map();
const contexts = new Map();
const grants = new Set();
const given = new Set(); // access tokens
const ended = new Set(); // those of them that the FHIR server takes no more

const types = [
  "*", "Patient", "Condition", "Observation", "Medication", "MedicationRequest",
  "MedicationStatement", "Encounter", "Appointment", "AllergyIntolerance", "Device",
  "Procedure", "ServiceRequest", "NutritionOrder", "Coverage", "DeviceRequest",
];
const scopes = [
  "openid", "profile", "fhirUser", "launch", "launch/patient", "online_access",
  "offline_access",
  "user/PractitionerRole.read", "user/PractitionerRole.r",
  ...types.flatMap((each) => ["read", "rs", "r", "s"].map((how) => `patient/${each}.${how}`)),
];

const jwk = (kind, options, more) => ({
  ...generateKeyPairSync(kind, options).privateKey.export({ format: "jwk" }),
  use: "sig",
  ...more,
});

const server = createServer();
await new Promise((done) => server.listen(Number(process.argv[3] ?? 0), "127.0.0.1", done));
const issuer = `http://127.0.0.1:${server.address().port}`;
const base = `${issuer}/fhir`;
const signing = ["RS256", "RS384", "ES256", "ES384"];

const provider = new Provider(issuer, {
  clients: [],
  scopes,
  claims: {
    openid: ["sub"],
    profile: ["name", "groups"],
    fhirUser: ["fhirUser"],
  },
  jwks: {
    keys: [
      jwk("rsa", { modulusLength: 2048 }, { kid: "rsa" }),
      jwk("ec", { namedCurve: "P-256" }, { kid: "p256", alg: "ES256" }),
      jwk("ec", { namedCurve: "P-384" }, { kid: "p384", alg: "ES384" }),
    ],
  },
  cookies: { keys: [randomBytes(16).toString("hex")] },
  extraParams: ["launch", "aud"],
  pkce: { required: () => true },
  conformIdTokenClaims: false,
  rotateRefreshToken: () => state.rotate,
  expiresWithSession: () => false,
  issueRefreshToken: (_, client, code) =>
    state.refreshes &&
    client.grantTypeAllowed("refresh_token") &&
    (code.scopes.has("online_access") || code.scopes.has("offline_access")),
  ttl: {
    AccessToken: () => state.accessSeconds,
    AuthorizationCode: 60,
    Grant: 86400,
    IdToken: 3600,
    Interaction: 600,
    RefreshToken: 86400,
    Session: 86400,
  },
  clientAuthMethods: ["none", "client_secret_basic", "private_key_jwt"],
  enabledJWA: {
    clientAuthSigningAlgValues: ["RS384", "ES384"],
    idTokenSigningAlgValues: signing,
  },
  features: {
    devInteractions: { enabled: false },
    introspection: { enabled: true },
    revocation: { enabled: true },
    rpInitiatedLogout: { enabled: true },
  },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => {
      const told = id.split("|")[1];
      const user = told && state.absolute ? `${base}/${told}` : told;
      return { sub: id, name: "Somebody", ...(user && { fhirUser: user }), ...state.claims };
    },
  }),
});

// What is open in the EHR goes beside every token.
provider.use(async (ctx, next) => {
  await next();
  if (ctx.path !== "/token" || ctx.status !== 200 || !ctx.body?.access_token) return;
  given.add(ctx.body.access_token);
  const { Grant, AuthorizationCode, RefreshToken } = ctx.oidc.entities;
  const grant = (AuthorizationCode ?? RefreshToken)?.grantId ?? Grant?.jti;
  const renewed = ctx.oidc.params.grant_type === "refresh_token" ? state.again : {};
  const context = { ...contexts.get(grant), ...state.context, ...renewed };
  for (const [name, value] of Object.entries(context)) {
    if (value === null) delete ctx.body[name];
    else ctx.body[name] = value;
  }
});

async function signIn(req, res) {
  const { params, uid } = await provider.interactionDetails(req, res);
  const known = launches.get(params.launch);
  const asked = (params.scope ?? "").split(" ");
  if (asked.includes("launch") && known === undefined) {
    return provider.interactionFinished(req, res, {
      error: "invalid_request",
      error_description: "this launch is not known",
    });
  }
  if (params.aud !== undefined && params.aud.replace(/\/$/, "") !== base) {
    return provider.interactionFinished(req, res, {
      error: "invalid_request",
      error_description: "aud is another",
    });
  }
  const user = known?.user ?? state.user;
  const accountId = `${uid}|${user}`;
  const grant = new provider.Grant({ accountId, clientId: params.client_id });
  grant.addOIDCScope(asked.filter((each) => !state.drop.includes(each)).join(" "));
  grant.rejectOIDCScope(asked.filter((each) => state.drop.includes(each)).join(" "));
  const grantId = await grant.save();
  grants.add(grantId);
  const { user: _, ...context } = known ?? { patient: state.patient };
  contexts.set(grantId, JSON.parse(JSON.stringify(context)));
  return provider.interactionFinished(req, res, {
    login: {
      accountId,
      remember: false,
      ts: Math.floor(Date.now() / 1000) - state.authenticated,
    },
    consent: { grantId },
  });
}

const smart = () => ({
  issuer,
  jwks_uri: `${issuer}/jwks`,
  authorization_endpoint: `${issuer}/auth`,
  token_endpoint: `${issuer}/token`,
  revocation_endpoint: `${issuer}/token/revocation`,
  introspection_endpoint: `${issuer}/token/introspection`,
  authorization_response_iss_parameter_supported: true,
  token_endpoint_auth_methods_supported: ["client_secret_basic", "private_key_jwt"],
  token_endpoint_auth_signing_alg_values_supported: ["RS384", "ES384"],
  grant_types_supported: ["authorization_code", "refresh_token"],
  code_challenge_methods_supported: ["S256"],
  scopes_supported: state.supported,
  capabilities: [
    "launch-ehr", "launch-standalone", "client-public", "client-confidential-symmetric",
    "client-confidential-asymmetric", "sso-openid-connect", "context-ehr-patient",
    "context-ehr-encounter", "context-standalone-patient", "permission-patient",
    state.newer ? "permission-v2" : "permission-v1", ...state.more,
  ],
});

const oauthUris = {
  url: "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris",
  extension: [
    { url: "authorize", valueUri: `${issuer}/auth` },
    { url: "token", valueUri: `${issuer}/token` },
    { url: "revoke", valueUri: `${issuer}/token/revocation` },
  ],
};

const statement = {
  resourceType: "CapabilityStatement",
  status: "active",
  date: "2026-01-01",
  kind: "instance",
  fhirVersion: "4.0.1",
  format: ["json"],
  rest: [{ mode: "server", security: { extension: [oauthUris] } }],
};

async function answerFhir(req, url) {
  const path = url.pathname.slice("/fhir/".length);
  if (path === ".well-known/smart-configuration") {
    return state.published ? [200, smart()] : [404, {}];
  }
  if (path === "metadata") return [200, statement];
  const bearer = /^Bearer (\S+)$/.exec(req.headers.authorization ?? "")?.[1];
  const token = bearer && (await provider.AccessToken.find(bearer));
  if (!token || token.isExpired || ended.has(bearer)) return [401, {}];
  const [type, id] = path.split("/");
  if (state.refuses.includes("*") || state.refuses.includes(type)) return [401, {}];
  const granted = token.scope.split(" ");
  const ways = ["read", "rs", id ? "r" : "s"];
  const whose = [`patient/${type}`, `user/${type}`, "patient/*"];
  if (!ways.some((how) => whose.some((each) => granted.includes(`${each}.${how}`)))) {
    return [403, {}];
  }
  if (id) return chart[path] ? [200, chart[path]] : [404, {}];
  const patient = (url.searchParams.get("patient") ?? url.searchParams.get("subject") ?? "")
    .replace(/^Patient\//, "");
  const found = Object.values(chart).filter(
    (each) =>
      each.resourceType === type &&
      (each.subject ?? each.patient)?.reference === `Patient/${patient}`,
  );
  const entry = found.map((resource) => ({
    fullUrl: `${base}/${type}/${resource.id}`,
    resource,
    search: { mode: "match" },
  }));
  return [200, { resourceType: "Bundle", type: "searchset", total: entry.length, ...(entry.length && { entry }) }];
}

async function control(what, told) {
  if (what === "state") state = told === null ? { ...usual } : { ...state, ...told };
  else if (what === "client") await provider.Client.adapter.upsert(told.client_id, told);
  else if (what === "chart") chart = told;
  else if (what === "launch") {
    const launch = randomBytes(12).toString("base64url");
    launches.set(launch, told);
    return { launch };
  } else if (what === "revoke") {
    for (const each of grants) {
      await provider.RefreshToken.revokeByGrantId(each);
      await provider.AccessToken.revokeByGrantId(each);
      await (await provider.Grant.find(each))?.destroy();
    }
  } else if (what === "expire") {
    for (const each of given) ended.add(each);
  } else if (what === "seen") {
    const before = seen;
    seen = [];
    return before;
  }
  return {};
}

async function body(req) {
  const parts = [];
  for await (const each of req) parts.push(each);
  return parts.length ? JSON.parse(Buffer.concat(parts)) : null;
}

function send(res, status, value) {
  res.writeHead(status, { "content-type": "application/json", "cache-control": "no-store" });
  res.end(JSON.stringify(value));
}

const callback = provider.callback();
server.on("request", async (req, res) => {
  try {
    const url = new URL(req.url, issuer);
    const [, first, second] = url.pathname.split("/");
    if (first === "control") return send(res, 200, await control(second, await body(req)));
    seen.push(`${req.method} ${url.pathname}`);
    if (first === "interaction") return await signIn(req, res);
    if (first === "fhir") return send(res, ...(await answerFhir(req, url)));
    return callback(req, res);
  } catch (error) {
    console.error(error);
    send(res, 500, { error: String(error) });
  }
});
console.log(issuer);
