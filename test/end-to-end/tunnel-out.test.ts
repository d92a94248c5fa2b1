import { once } from "node:events";
import { createServer } from "node:http";
import net, { type AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import type { AgentVmError } from "../../src/api/errors.ts";
import type { VmHandle } from "../../src/client/types.ts";
import { startTestServer, type TestServer } from "../support/servers.ts";

let server: TestServer;
let vm: VmHandle;

beforeAll(async () => {
  server = await startTestServer({ kind: "kernel" });
  vm = server.client().vm.getOrCreate("offers");
  await vm.setNetworkPolicy({ outbound: { allow: ["web.agent-vm:8080", "raw.agent-vm:7000"] } });
});
afterAll(() => server.stop());

/** Starts an HTTP service on this machine. @returns its port */
async function service(answer: string): Promise<number> {
  const http = createServer((request, response) => response.end(`${answer} ${request.url}`)).listen(
    0,
    "127.0.0.1",
  );
  onTestFinished(() => void http.close());
  await once(http, "listening");
  return (http.address() as AddressInfo).port;
}

const get = async (url: string, ...options: string[]) =>
  (await vm.execArgv("curl", ["-sS", "--max-time", "10", ...options, url])).stdout;

test("programs reach a service of the client by its name, with and without the proxy, until it is closed", async () => {
  await using offer = await vm.tunnelOut({ name: "web", port: 8080, localPort: await service("hello") });
  expect(offer.host).toBe("web.agent-vm");
  expect(await get("http://web.agent-vm:8080/a")).toBe("hello /a");
  expect(await get("http://web.agent-vm:8080/b", "--noproxy", "*")).toBe("hello /b");
  await offer.close();
  expect(await get("http://web.agent-vm:8080/c")).toContain("no client offers");
  expect(
    (await vm.execArgv("curl", ["-sS", "--noproxy", "*", "http://web.agent-vm:8080/"])).stderr,
  ).toContain("Could not resolve");
});

test("a program may end its side first, and bytes pass unchanged", async () => {
  const echo = net
    .createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket))
    .listen(0, "127.0.0.1");
  onTestFinished(() => void echo.close());
  await once(echo, "listening");
  const { port } = echo.address() as AddressInfo;
  await using _offer = await vm.tunnelOut({ name: "raw", port: 7000, localPort: port });
  const code = `
import socket, hashlib, os, threading
s = socket.create_connection(("raw.agent-vm", 7000))
data = os.urandom(3 * 1024 * 1024)
def send():
    s.sendall(data)
    s.shutdown(socket.SHUT_WR)
threading.Thread(target=send).start()
got = b""
while True:
    piece = s.recv(65536)
    if not piece: break
    got += piece
print(got == data, len(got))
`;
  const { stdout, stderr } = await vm.execArgv("python3", ["-c", code]);
  expect([stdout, stderr]).toEqual(["True 3145728\n", ""]);
});

test("the policy must name the service", async () => {
  for (const outbound of ["none", "all", { allow: ["*"] }, { allow: ["web.agent-vm:81"] }] as const) {
    const other = server.client().vm.getOrCreate("strict");
    await other.setNetworkPolicy({
      outbound: typeof outbound === "string" ? outbound : { allow: [...outbound.allow] },
    });
    await expect(other.tunnelOut({ name: "web", port: 8080 })).rejects.toMatchObject({ code: "forbidden" });
  }
});

test("a later policy cuts connections and refuses new connections", async () => {
  const other = server.client().vm.getOrCreate("changes");
  await other.setNetworkPolicy({ outbound: { allow: ["*.agent-vm"] } });
  await using _offer = await other.tunnelOut({ name: "web", port: 8080, localPort: await service("hi") });
  const ask = () => other.execArgv("curl", ["-sS", "http://web.agent-vm:8080/"]);
  expect((await ask()).stdout).toBe("hi /");
  await other.setNetworkPolicy({ outbound: "all" });
  expect((await ask()).stdout).toContain("denied");
});

test("a service reaches only the VM that it is offered to, and no name is taken twice", async () => {
  const port = await service("mine");
  await using _offer = await vm.tunnelOut({ name: "web", port: 8080, localPort: port });
  await expect(vm.tunnelOut({ name: "web", port: 8080, localPort: port })).rejects.toMatchObject({
    code: "EADDRINUSE",
  });
  const other = server.client().vm.getOrCreate("neighbour");
  await other.setNetworkPolicy({ outbound: { allow: ["web.agent-vm:8080"] } });
  expect((await other.execArgv("curl", ["-sS", "http://web.agent-vm:8080/"])).stdout).toContain(
    "no client offers",
  );
});

test("names of the server's machine and other names cannot be offered", async () => {
  for (const name of ["host", "WEB", "a.b", "", "-a", "x".repeat(64), "host.agent-vm"])
    await expect(vm.tunnelOut({ name, port: 8080 })).rejects.toMatchObject({ code: "invalid_argument" });
});

test("a service that does not answer is an error on both sides", async () => {
  const errors: AgentVmError[] = [];
  await using _offer = await vm.tunnelOut({
    name: "web",
    port: 8080,
    localPort: 9,
    onError: (e) => errors.push(e),
  });
  expect(await get("http://web.agent-vm:8080/")).toContain("ECONNREFUSED");
  expect(errors.map(({ code }) => code)).toEqual(["ECONNREFUSED"]);
});

test("the offer ends with its client", async () => {
  const client = server.client();
  await client.vm.getOrCreate("offers").tunnelOut({ name: "web", port: 8080, localPort: await service("x") });
  expect(await get("http://web.agent-vm:8080/")).toBe("x /");
  await client.dispose();
  await expect.poll(() => get("http://web.agent-vm:8080/")).toContain("no client offers");
});
