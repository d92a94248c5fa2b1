// @module-tag attack
import { expect, test } from "vitest";
import { makeCertificate } from "../../../../support/certificate.ts";
import { listenOutside, startOutboundVm, startOutside } from "../../../../support/outside.ts";
import { startSecretVm, VALUE } from "../../../../support/secret-outside.ts";

/** A program that connects to a host, speaks TLS with a name, sends text and prints what comes back. */
const speak = (port: number, tries: { host: string; name?: string; text: string; alpn?: string }[]) => `
  const tls = require("node:tls");
  const speak = ({ host, name, text, alpn }) => new Promise((resolve) => {
    let answer = "";
    const socket = tls.connect({ host, port: ${port}, servername: name, ALPNProtocols: alpn && [alpn], rejectUnauthorized: false }, () => socket.write(text));
    socket.on("data", (data) => (answer += data));
    socket.on("error", (error) => (answer ||= error.code));
    socket.on("close", () => resolve(answer));
  });
  (async () => {
    const answers = [];
    for (const one of ${JSON.stringify(tries)}) answers.push(await speak(one));
    console.log(JSON.stringify(answers));
  })();`;

const get = (path: string, host: string, ...more: string[]) =>
  `${[`GET ${path} HTTP/1.1`, `Host: ${host}`, "Connection: close", ...more].join("\r\n")}\r\n\r\n`;

test("only requests to the secret's own host get it: no other name, address, Host header or absolute URL", async () => {
  const { vm, port, requests } = await startSecretVm(
    {},
    { allow: ["other.test"], names: { "other.test": ["127.0.0.2"] } },
  );
  const host = `api.test:${port}`;
  const tries = [
    // The address of the host, and another name of the address, with the name of the host in TLS and in HTTP.
    { host: "127.0.0.2", name: "api.test", text: get("/address", host) },
    { host: "other.test", name: "api.test", text: get("/other-name", host) },
    // The host's own address in the VM with another name in TLS.
    { host: "api.test", name: "other.test", text: get("/sni", host) },
    { host: "api.test", name: "api.test", text: get("/host", `other.test:${port}`) },
    { host: "api.test", name: "api.test", text: get("/port", "api.test") },
    { host: "api.test", name: "api.test", text: get(`https://other.test:${port}/absolute`, host) },
    { host: "api.test", name: "api.test", text: get("@other.test/at", host) },
    { host: "api.test", name: "api.test", text: get("/good#/../fragment", host) },
    { host: "api.test", name: "api.test", text: `TRACE / HTTP/1.1\r\nHost: ${host}\r\n\r\n` },
    { host: "api.test", name: "api.test", text: `CONNECT other.test:443 HTTP/1.1\r\nHost: ${host}\r\n\r\n` },
    { host: "api.test", name: "api.test", text: get("/grpc", host), alpn: "h2" },
    { host: "api.test", name: "API.test", text: get("/good", host) },
  ];
  const { stdout } = await vm.execArgv("node", ["-e", speak(port, tries)]);
  const answers = (JSON.parse(stdout) as string[]).map((text) => text.split("\r\n")[0]);
  expect(answers).toEqual([
    "HTTP/1.1 200 OK",
    "HTTP/1.1 200 OK",
    "ECONNRESET",
    "HTTP/1.1 421 Misdirected Request",
    "HTTP/1.1 421 Misdirected Request",
    "HTTP/1.1 400 Bad Request",
    "HTTP/1.1 400 Bad Request",
    "HTTP/1.1 400 Bad Request",
    "HTTP/1.1 405 Method Not Allowed",
    "HTTP/1.1 400 Bad Request",
    "ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL",
    "HTTP/1.1 200 OK",
  ]);
  expect(requests.map(({ url, headers }) => [url, headers.authorization])).toEqual([
    ["/address", undefined],
    ["/other-name", undefined],
    ["/good", `Bearer ${VALUE}`],
  ]);
});

test("a smuggled request does not reach the host, and huge headers are refused", {
  tags: ["slow"],
}, async () => {
  const { vm, port, requests } = await startSecretVm();
  const head = `POST /a HTTP/1.1\r\nHost: api.test:${port}\r\nConnection: close\r\n`;
  const hidden = `GET /smuggled HTTP/1.1\r\nHost: api.test\r\n\r\n`;
  const chunked = `0\r\n\r\n${hidden}`;
  const texts = [
    `${head}Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n${chunked}`,
    `${head}Content-Length: 0\r\nContent-Length: ${hidden.length}\r\n\r\n${hidden}`,
    `${head}Transfer-Encoding: xchunked\r\nContent-Length: 0\r\n\r\n${hidden}`,
    `${head}Transfer_Encoding: chunked\r\nContent-Length: 0\r\nUpgrade: websocket\r\n\r\n${hidden}`,
    `${head}X: ${"x".repeat(20_000)}\r\n\r\n`,
    `${head}${"A: b\r\n".repeat(3_000)}\r\n`,
  ];
  const tries = texts.map((text) => ({ host: "api.test", name: "api.test", text }));
  const { stdout } = await vm.execArgv("node", ["-e", speak(port, tries)]);
  for (const [index, answer] of (JSON.parse(stdout) as string[]).entries())
    expect([index, answer]).toEqual([index, expect.stringMatching(/^HTTP\/1.1 (400|431|200) |^E|^$/)]);
  expect(requests.filter(({ url }) => url !== "/a")).toEqual([]);
  for (const { headers } of requests) expect(headers.x ?? headers.a).toBeUndefined();
});

test("a path matches the rule of a secret only as the host reads it", { tags: ["slow"] }, async () => {
  const { vm, port, requests } = await startSecretVm({ methods: ["POST"], paths: ["/v1/messages", "/v2/*"] });
  const send = (method: string, path: string) => ({
    host: "api.test",
    name: "api.test",
    text: get(path, `api.test:${port}`).replace("GET", method),
  });
  const good = ["/v1/messages", "/v1/messages?q=/../", "/v2/", "/v2/a.b/..c"];
  const bad = ["/v1/messages/", "/v1/messages2", "/v1", "/v2", "/v2/../v1/admin", "/v2/%2e%2E/admin"];
  const worse = ["/v2//admin", "/v2/..%2fadmin", "/v2/.", "/v2/..;/admin", "//v2/a", "/V2/a", "/v2/a%00"];
  const tries = [
    ...[...good, ...bad, ...worse].map((path) => send("POST", path)),
    send("GET", "/v1/messages"),
    send("POSTS", "/v1/messages"),
  ];
  await vm.execArgv("node", ["-e", speak(port, tries)]);
  const withSecret = requests.filter(({ headers }) => headers.authorization !== undefined);
  expect(withSecret.map(({ url }) => url)).toEqual(good);
  expect(requests.length).toBeGreaterThanOrEqual(tries.length - 1);
});

test("a host with a wrong, unknown or expired certificate, and a name that leads elsewhere later, get nothing", {
  tags: ["slow"],
}, async () => {
  let asked = 0;
  const wrong = await startSecretVm({}, { certificateOf: "else.test" });
  const refused = await wrong.curl(`-w '\\n%{http_code}' ${wrong.url}/`);
  expect(refused.text).toMatch(
    /^agent-vm: TLS with api.test failed: Hostname\/IP does not match certificate's altnames.*\n502$/,
  );
  expect(wrong.requests).toEqual([]);
  const unknown = await makeCertificate("api.test");
  const outside = await startOutside(undefined, unknown, "127.0.0.2");
  const plain = await listenOutside((socket) => void socket.end("no TLS\r\n"), "127.0.0.2");
  const inner = await listenOutside((socket) => void socket.end("secret"), "127.0.0.1");
  const secrets = Object.fromEntries(
    [outside.port, plain, inner].map((port, index) => [
      `KEY_${index}`,
      { value: VALUE, hosts: [`api.test:${port}`], query: { key: "{secret}" } },
    ]),
  );
  const allow = ["api.test", `127.0.0.2:${outside.port}`, `127.0.0.2:${plain}`];
  const { curl, denied } = startOutboundVm(
    { outbound: { allow }, secrets },
    { "api.test": () => (asked++ < 3 ? ["127.0.0.2"] : ["127.0.0.1"]) },
  );
  expect((await curl(`https://api.test:${outside.port}/`)).text).toContain("failed: self-signed certificate");
  expect((await curl(`https://api.test:${plain}/`)).text).toMatch(/^agent-vm: .*(SSL|TLS|ssl)/);
  expect((await curl(`https://api.test:${inner}/`)).text).toContain("is denied: this machine");
  expect(denied.at(-1)).toMatchObject({ host: "api.test", port: inner });
  expect(outside.requests).toEqual([]);
});

test("a redirect to another host carries no secret there, and no answer shows a masked secret", async () => {
  const other = await startOutside(undefined, undefined, "127.0.0.2");
  const { curl, url, last } = await startSecretVm(
    { query: { key: "{secret}" }, mask: true },
    {
      allow: ["other.test", `127.0.0.2:${other.port}`],
      names: { "other.test": ["127.0.0.2"] },
      listener: ({ headers, url: target }, response) => {
        if (target?.startsWith("/echo")) {
          response.setHeader("x-echo", headers.authorization ?? "");
          const text = JSON.stringify({ headers, target });
          // In two pieces, so that the secret is in neither.
          const at = text.indexOf(VALUE) + 5;
          response.write(text.slice(0, at));
          setImmediate(() => response.end(text.slice(at)));
        } else if (target?.startsWith("/coded")) {
          response.writeHead(200, { "content-encoding": "gzip" }).end("");
        } else response.writeHead(302, { location: `http://other.test:${other.port}/` }).end();
      },
    },
  );
  expect((await curl(`-L ${url}/away`)).exitCode).toBe(0);
  expect(other.requests.map(({ headers }) => headers.authorization)).toEqual([undefined]);
  const { text } = await curl(`-i --compressed -r 0-99 '${url}/echo?key=mine&%6bey=mine&a=1'`);
  expect(text).toContain(`x-echo: Bearer ${"*".repeat(VALUE.length)}`);
  expect(text).toContain(`"target":"/echo?a=1&key=${"*".repeat(encodeURIComponent(VALUE).length)}"`);
  expect(text).not.toContain(VALUE.slice(0, 8));
  expect(last().headers).toMatchObject({ authorization: `Bearer ${VALUE}`, "accept-encoding": "identity" });
  expect(last().headers.range).toBeUndefined();
  expect((await curl(`${url}/coded`)).text).toContain("agent-vm: the response is coded (gzip)");
  const upgrade = "-H 'connection: upgrade' -H 'upgrade: websocket'";
  expect((await curl(`${upgrade} ${url}/coded`)).text).toContain("agent-vm: the response is coded (gzip)");
});

test("an answer to a request without the secret is masked too, with its status text and basic authentication", async () => {
  const basic = Buffer.from(`user:${VALUE}`).toString("base64");
  const { curl, url, last } = await startSecretVm(
    { headers: {}, placeholderIn: ["headers"], paths: ["/secret"], mask: true },
    {
      listener: ({ url: target, headers }, response) => {
        response.statusMessage = `Is ${VALUE}`;
        response.end(target === "/secret" ? headers.authorization : VALUE);
      },
    },
  );
  const stars = "*".repeat(VALUE.length);
  const plain = await curl(`-i ${url}/plain`);
  expect(plain.text).toContain(`200 Is ${stars}`);
  expect(plain.text).not.toContain(VALUE);
  const { text } = await curl(`-u "user:$API_KEY" ${url}/secret`);
  expect(last().headers.authorization).toBe(`Basic ${basic}`);
  expect(text).toContain(`Basic ${"*".repeat(basic.length)}`);
});

test("a program that never finishes a handshake holds nothing but its own connection", {
  tags: ["slow"],
}, async () => {
  const { vm, curl, url, port } = await startSecretVm();
  const program = `
    const net = require("node:net");
    const hello = Buffer.from("160301020001", "hex");
    let open = 0;
    for (let n = 0; n < 300; n++) {
      const socket = net.connect(${port}, "api.test", () => { socket.write(hello); if (++open === 240) console.log("open"); });
      socket.on("error", () => {});
    }
    setTimeout(() => process.exit(), 60_000);`;
  const { pid } = await vm.spawn("node", ["-e", program]);
  await expect.poll(async () => (await vm.readProcessOutput(pid)).chunks.length).toBe(1);
  await vm.killProcess(pid);
  await expect.poll(async () => (await curl(`${url}/after`)).exitCode).toBe(0);
});
