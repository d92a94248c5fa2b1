// @module-tag any-user
import type { Socket } from "node:net";
import { expect, test, vi } from "vitest";
import { echoAtEnd, listenOutside, readLine, startOutboundVm } from "../../../support/outside.ts";

vi.mock("../../../../src/runtime/sandbox/kernel/network/interception-support.ts", () => ({
  interceptionSupport: async () => ({ way: "gateway", description: "a kernel without nf_tables" }),
}));

const greet = (socket: Socket) => void socket.end("hello\n");

test("without nf_tables a program reaches names and addresses on the ports that rules name, and no others", async () => {
  const port = await listenOutside(greet, "127.0.0.2");
  const { vm, denied, resolved } = startOutboundVm(
    { outbound: { allow: ["db.test", `127.0.0.2:${port}`, "192.0.2.9:5432"], deny: ["192.0.2.9"] } },
    { "db.test": ["127.0.0.2"], "other.test": ["127.0.0.2"] },
  );
  expect((await vm.exec(readLine("DB.test", port))).stdout).toBe("hello\n");
  expect(denied).toEqual([]);
  expect((await vm.exec(readLine("other.test", port))).stdout).toContain("not known");
  expect(resolved).not.toContain("other.test");
  expect(denied.at(0)).toMatchObject({ host: "other.test", port: 53 });
  // A port that a rule names meets the policy, and the log has the program.
  await vm.exec(readLine("192.0.2.9", 5432));
  expect(denied.at(-1)).toMatchObject({ host: "192.0.2.9", port: 5432, pid: expect.any(Number) });
  expect((await vm.exec(readLine("db.test", port + 1))).stdout).toContain("Connection refused");
  const { stdout } = await vm.exec("getent ahostsv4 db.test; getent ahostsv6 db.test; cat /etc/resolv.conf");
  expect(stdout).toMatch(/^198\.18\.0\.\d+ /);
  expect(stdout).toContain("fd61:6765:6e74:766d::c612:");
  const [address = ""] = /fd61\S+/.exec(stdout) ?? [];
  expect((await vm.exec(readLine(address, port))).stdout).toBe("hello\n");
});

test("ports of rules stay free for the VM's own programs", async () => {
  const port = await listenOutside(greet);
  const { vm } = startOutboundVm({ outbound: { allow: [`host.agent-vm:${port}`] } });
  const own = `require("node:net").createServer((socket) => socket.end("own\\n")).listen(${port}, "::")`;
  await vm.spawn("node", ["-e", own]);
  await vm.waitForPort(port);
  expect((await vm.listPorts()).map((open) => open.port)).toEqual([port]);
  expect((await vm.exec(readLine("127.0.0.1", port))).stdout).toBe("own\n");
  expect((await vm.exec(readLine("host.agent-vm", port))).stdout).toBe("hello\n");
});

test("a policy that changes opens and closes ports, and keeps the connections that it allows", async () => {
  const [first, second] = [
    await listenOutside((socket) => void socket.pipe(socket)),
    await listenOutside(greet),
  ];
  const { vm } = startOutboundVm({ outbound: { allow: [`host.agent-vm:${first}`] } });
  const held = vm.exec(
    `bash -c 'exec 3<>/dev/tcp/host.agent-vm/${first}; echo one >&3; head -1 <&3; touch /tmp/open; until test -e /tmp/go; do sleep 0.05; done; echo two >&3; head -1 <&3'`,
  );
  await vm.exec("until test -e /tmp/open; do sleep 0.05; done");
  expect((await vm.exec(readLine("host.agent-vm", second))).stdout).toContain("refused");
  const both = [`host.agent-vm:${first}`, `host.agent-vm:${second}`];
  await vm.setNetworkPolicy({ outbound: { allow: both } });
  expect((await vm.exec(readLine("host.agent-vm", second))).stdout).toBe("hello\n");
  await vm.exec("touch /tmp/go");
  expect((await held).stdout).toBe("one\ntwo\n");
  await vm.setNetworkPolicy({ outbound: { allow: [`host.agent-vm:${second}`] } });
  expect((await vm.exec(readLine("host.agent-vm", first))).stdout).toContain("refused");
  expect((await vm.exec(readLine("host.agent-vm", second))).stdout).toBe("hello\n");
  await vm.setNetworkPolicy({ outbound: { allow: both } });
  const again = `bash -c 'exec 3<>/dev/tcp/host.agent-vm/${first}; echo one >&3; head -1 <&3'`;
  expect((await vm.exec(again)).stdout).toBe("one\n");
});

test("a side that ends a connection still gets the rest, byte for byte", async () => {
  const port = await listenOutside(echoAtEnd);
  const { vm } = startOutboundVm({ outbound: { allow: [`host.agent-vm:${port}`] } });
  const program = `
    const socket = require("node:net").connect({ host: "host.agent-vm", port: ${port}, allowHalfOpen: true });
    const sent = Buffer.alloc(2_000_000, "0123456789abcdef"), pieces = [];
    socket.end(sent);
    socket.on("data", (piece) => pieces.push(piece));
    socket.on("end", () => console.log(sent.equals(Buffer.concat(pieces))));`;
  expect((await vm.execArgv("node", ["-e", program])).stdout).toBe("true\n");
});

test("a place of 127.0.0.0/8 leads to the server's machine while a rule names it", async () => {
  const port = await listenOutside(greet, "127.0.0.2");
  const { vm } = startOutboundVm({ outbound: { allow: [`127.0.0.2:${port}`] } });
  expect((await vm.exec(readLine("127.0.0.2", port))).stdout).toBe("hello\n");
  expect((await vm.exec(readLine("127.0.0.1", port))).stdout).toContain("refused");
  expect(await vm.listPorts()).toEqual([]);
  await vm.setNetworkPolicy({ outbound: { allow: ["192.0.2.1:1"] } });
  expect((await vm.exec(readLine("127.0.0.2", port))).stdout).toContain("refused");
  await vm.setNetworkPolicy({ outbound: { allow: [`127.0.0.2:${port}`] } });
  expect((await vm.exec(readLine("127.0.0.2", port))).stdout).toBe("hello\n");
});
