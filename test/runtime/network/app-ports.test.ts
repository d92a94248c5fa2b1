// @module-tag any-user
import { expect, test } from "vitest";
import type { Vm } from "../../../src/runtime/vm.ts";
import { makeCertificate } from "../../support/certificate.ts";
import { testRows } from "../../support/rows.ts";
import { failure } from "../../support/until.ts";
import { startVm } from "../../support/vm.ts";
import { startHttpServer, textOf } from "../../support/vm-servers.ts";

/** Starts a TLS server in a VM. It answers with the method and the body. */
async function startTlsServer(vm: Vm, port: number): Promise<number> {
  const { key, cert } = await makeCertificate("dev.example");
  await vm.writeFiles([
    { path: "/tmp/key", content: key },
    { path: "/tmp/cert", content: cert },
  ]);
  const { pid } = await vm.spawn("node", [
    "-e",
    `https.createServer({ key: fs.readFileSync("/tmp/key"), cert: fs.readFileSync("/tmp/cert") }, async (request, response) => {
      let body = "";
      for await (const chunk of request) body += chunk;
      response.end("tls " + request.method + " " + body);
    }).listen(${port})`,
  ]);
  await vm.waitForPort(port);
  return pid;
}

test("vmFetch, waitForPort and previews reach a server that speaks TLS", async () => {
  const { vm } = startVm();
  await startTlsServer(vm, 8443);
  const posted = await vm.vmFetch(8443, "https://localhost:8443/", { method: "POST", body: "posted" });
  expect(textOf(posted)).toBe("tls POST posted");
  expect(textOf(await vm.vmFetch(8443, "/"))).toBe("tls GET ");
  await startTlsServer(vm, 8444);
  await vm.waitForPort(8444, { path: "/", timeoutMs: 20_000 });
  await startTlsServer(vm, 8445);
  const { token } = await vm.createPreview(8445);
  const request = new Request("http://preview.example/");
  const page = await vm.fetchPreview(token, { path: "/", prefix: "/p", request });
  expect([page.status, await page.text()]).toEqual([200, "tls GET "]);
});

test("a plain server in the place of a TLS server is reached too", async () => {
  const { vm } = startVm();
  const pid = await startTlsServer(vm, 8443);
  await vm.vmFetch(8443, "/");
  await vm.killProcess(pid);
  await startHttpServer(vm, 8443);
  expect((await vm.vmFetch(8443, "/", { method: "POST" })).status).toBe(200);
});

testRows(
  [
    ["Go", "HTTP/1.0 400 Bad Request\\r\\n\\r\\nClient sent an HTTP request to an HTTPS server.\\n"],
    [
      "nginx",
      "HTTP/1.1 400 Bad Request\\r\\nConnection: close\\r\\n\\r\\nThe plain HTTP request was sent to HTTPS port",
    ],
  ] as const,
  1,
)(
  "a server as in %s that answers a plain request with its reason, and no TLS, keeps its answer",
  async (_name, answer) => {
    const { vm } = startVm();
    const line = `net.createServer((socket) => socket.on("error", () => {}).once("data", () => socket.end("${answer}"))).listen(8443)`;
    await vm.spawn("node", ["-e", line]);
    await vm.waitForPort(8443);
    const response = await vm.vmFetch(8443, "/");
    expect(response.status).toBe(400);
    expect(textOf(response)).toMatch(/HTTPS/);
  },
);

test("the error names the address of a server that listens elsewhere", async () => {
  const { vm } = startVm();
  await startHttpServer(vm, 3000, "127.0.0.2");
  expect(await failure(vm.vmFetch(3000, "/"))).toMatchObject({
    code: "ECONNREFUSED",
    message: expect.stringContaining("the port listens only on 127.0.0.2"),
  });
});
