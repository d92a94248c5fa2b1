// @module-tag any-user
import { expect, test } from "vitest";
import type { OutboundOptions } from "../../../../src/runtime/network/outbound/outbound.ts";
import { makeCertificate } from "../../../support/certificate.ts";
import { startOutboundVm, startOutside } from "../../../support/outside.ts";

/** Starts an outside TLS host `api.test` and a VM that may reach it. The VM has the host's CA in a file. */
async function startSecure(network: Partial<OutboundOptions> = {}) {
  const tls = await makeCertificate("api.test");
  const outside = await startOutside(undefined, tls);
  const allow = ["api.test", "other.test", `127.0.0.1:${outside.port}`];
  const started = startOutboundVm(
    { outbound: { allow }, ...network },
    { "api.test": ["127.0.0.1"], "other.test": ["127.0.0.1"] },
    { ca: tls.cert },
  );
  await started.vm.writeFile("/tmp/ca.pem", tls.cert);
  const { port } = outside;
  const echo = { method: "GET", url: "/v1?q=%20", host: `api.test:${port}`, body: "" };
  return { ...started, ...outside, tls, echo, url: `https://api.test:${port}/v1?q=%20` };
}

test("curl over CONNECT and SOCKS 5 is encrypted end to end", async () => {
  const { curl, url, echo, resolved } = await startSecure();
  expect(JSON.parse((await curl(`--cacert /tmp/ca.pem '${url}'`)).text)).toEqual(echo);
  const socks = `--noproxy '' -x socks5h://\${HTTP_PROXY#http://}`;
  expect(JSON.parse((await curl(`${socks} --cacert /tmp/ca.pem '${url}'`)).text)).toEqual(echo);
  expect(resolved).toEqual(["api.test", "api.test"]);
  // The program sees the host's own certificate, and rejects it without the host's CA.
  expect((await curl(`'${url}'`)).exitCode).toBe(60);
});

test("Node's fetch and https verify the host's certificate", { tags: ["slow"] }, async () => {
  const { vm, url, echo } = await startSecure();
  const env = { NODE_EXTRA_CA_CERTS: "/tmp/ca.pem" };
  const fetching = `fetch("${url}").then((r) => r.text()).then((text) => process.stdout.write(text))`;
  expect(JSON.parse((await vm.execArgv("node", ["-e", fetching], { env })).stdout)).toEqual(echo);
  const getting = `https.get("${url}", (response) => response.pipe(process.stdout))`;
  expect(JSON.parse((await vm.execArgv("node", ["-e", getting], { env })).stdout)).toEqual(echo);
  const withoutCa = await vm.execArgv("node", ["-e", fetching]);
  expect(withoutCa.stderr).toContain("DEPTH_ZERO_SELF_SIGNED_CERT");
});

test("python's urllib verifies the host's certificate", { tags: ["slow"] }, async ({ skip }) => {
  const { vm, url, echo } = await startSecure();
  if ((await vm.exec("command -v python3")).exitCode !== 0) {
    console.log("No test of python through TLS: python3 is not installed");
    skip();
  }
  const program = `
import ssl, sys, urllib.request
context = ssl.create_default_context(cafile="/tmp/ca.pem")
sys.stdout.write(urllib.request.urlopen("${url}", context=context).read().decode())`;
  const { stdout, stderr } = await vm.execArgv("python3", ["-c", program]);
  expect(stderr).toBe("");
  expect(JSON.parse(stdout)).toEqual(echo);
});

test("a denial comes before TLS", async () => {
  const { curl, denied, requests } = await startSecure();
  expect((await curl("--cacert /tmp/ca.pem https://else.test/")).text).toContain("CONNECT tunnel failed");
  expect(denied).toEqual([
    {
      host: "else.test",
      port: 443,
      reason: "the policy does not allow this name",
      pid: expect.any(Number),
    },
  ]);
  expect(requests).toEqual([]);
});

test("headers are added to requests that the server sends with TLS, and inside the TLS of programs", async () => {
  const probe = await startSecure();
  const headers = { [`https://api.test:${probe.port}`]: { "x-api-key": "secret" } };
  const { curl } = startOutboundVm(
    { outbound: { allow: ["api.test", `127.0.0.1:${probe.port}`] }, headers },
    { "api.test": ["127.0.0.1"] },
    { ca: probe.tls.cert },
  );
  const keyOf = async (line: string) => {
    const { exitCode } = await curl(line);
    return [exitCode, probe.requests.at(-1)?.headers["x-api-key"]];
  };
  const inside = `http://api.test:${probe.port}/`;
  expect(await keyOf(inside)).toEqual([0, "secret"]);
  expect(await keyOf(`-X POST -d body ${inside}`)).toEqual([0, "secret"]);
  expect(await keyOf(`'${probe.url}'`)).toEqual([0, "secret"]);
});

test("sends no secret to a host with a wrong or untrusted certificate", async () => {
  const { port, tls, requests } = await startSecure();
  const withoutCa = await makeCertificate("api.test");
  for (const [name, ca] of [
    ["other.test", tls.cert],
    ["api.test", withoutCa.cert],
  ] as const) {
    const { curl } = startOutboundVm(
      {
        outbound: { allow: [name, `127.0.0.1:${port}`] },
        headers: { [`https://${name}:${port}`]: { "x-api-key": "secret" } },
      },
      { [name]: ["127.0.0.1"] },
      { ca },
    );
    const { text } = await curl(`-w '\\n%{http_code}' http://${name}:${port}/`);
    expect(text).toMatch(/^agent-vm: .*certificate.*\n502$/i);
  }
  expect(requests).toEqual([]);
});
