// @module-tag any-user
// @module-tag attack
import { expect, test, vi } from "vitest";
import { attempt, listenOutside, readLine, startOutboundVm } from "../../../support/outside.ts";

vi.mock("../../../../src/runtime/sandbox/kernel/network/interception-support.ts", () => ({
  interceptionSupport: async () => ({ way: "gateway", description: "a kernel without nf_tables" }),
}));

test("without nf_tables, no address of the server's machine, its link or a metadata service opens", async () => {
  const port = await listenOutside((socket) => void socket.end("secret\n"), "0.0.0.0");
  const { vm, denied } = startOutboundVm(
    { outbound: { allow: ["*", "0.0.0.0/0", "::/0", `192.0.2.1:${port}`] } },
    { localhost: ["127.0.0.1"], "rebound.test": ["127.0.0.1"], "metadata.test": ["169.254.169.254"] },
  );
  const inside = ["127.0.0.1", "127.0.0.2", "::1", "::ffff:127.0.0.1", "localhost", "198.18.0.2"];
  const outside = [
    ...["169.254.169.254", "168.63.129.16", "100.100.100.200", "fd00:ec2::254", "64:ff9b::7f00:1"],
    ...["2002:7f00:1::", "198.18.0.1", "198.18.77.77", "fd61:6765:6e74:766d::c612:4d4d"],
    ...["rebound.test", "metadata.test"],
  ];
  const at = (hosts: string[]) => hosts.map((host): [string, number] => [host, port]);
  const { stdout } = await vm.execArgv("node", ["-e", attempt([...at(inside), ...at(outside)])]);
  expect(stdout.trim().split("\n")).toEqual([
    ...inside.map((host) => `${host} ECONNREFUSED`),
    ...outside.map((host) => `${host} ECONNRESET`),
  ]);
  const reasons = new Set(denied.map(({ reason }) => reason));
  expect(reasons).toContain("this machine, its link and metadata services need a rule with address and port");
  expect(reasons).toContain("no name has this address any more: resolve the name again");
});

test("without nf_tables, a name that points at this machine later (DNS rebinding) stays closed", async () => {
  const port = await listenOutside((socket) => void socket.end("secret\n"));
  let asked = 0;
  const { vm, denied } = startOutboundVm(
    { outbound: { allow: [`evil.test:${port}`] } },
    { "evil.test": () => (asked++ === 0 ? ["192.0.2.1"] : ["127.0.0.1"]) },
  );
  expect((await vm.exec(readLine("evil.test", port))).stdout).not.toContain("secret");
  expect(denied.at(-1)).toMatchObject({ host: "evil.test", port });
});

test("without nf_tables, a program changes no interface, no address, no route and no neighbor", async () => {
  const { vm } = startOutboundVm({ outbound: { allow: ["192.0.2.1:1"] } });
  // RTM_SETLINK and RTM_DELLINK of the interface, RTM_NEWADDR, RTM_DELROUTE, RTM_NEWNEIGH.
  const program = `
    sub answer { my ($type, $data) = @_;
      socket(N, 16, 3, 0) or return "$!";
      send(N, pack('LSSLL', 16 + length $data, $type, 0x405, 1, 0) . $data, 0, pack('SSLL', 16, 0, 0, 0)) or return "$!";
      recv(N, my $answer, 4096, 0); return unpack('l', substr($answer, 16, 4)) == -1 ? 'EPERM' : 'changed'; }
    open(my $index, '<', '/proc/net/dev') or die; print grep(/outside:/, <$index>) ? "there\\n" : "gone\\n";
    print answer(19, pack('CxSlLL', 0, 0, 2, 0, 1)), "\\n", answer(17, pack('CxSlLL', 0, 0, 2, 0, 0)), "\\n",
      answer(20, pack('CCCCL', 2, 32, 0, 0, 2) . pack('SSa4', 8, 2, "\\x08\\x08\\x08\\x08")), "\\n",
      answer(25, pack('CCCCCCCCL', 2, 0, 0, 0, 254, 4, 0, 1, 0)), "\\n",
      answer(28, pack('CxSlSCC', 2, 0, 2, 0x80, 0, 0) . pack('SSa4', 8, 1, "\\xc6\\x12\\0\\x09")), "\\n";`;
  expect((await vm.execArgv("perl", ["-e", program])).stdout).toBe(`there\n${"EPERM\n".repeat(5)}`);
});

test("without nf_tables, no other packet leaves: UDP is refused, and a ping has no answer", async () => {
  const { vm } = startOutboundVm({ outbound: "all" });
  const program = `
    socket(U, 2, 2, 0) && connect(U, pack('S n a4 x8', 2, 443, "\\xc0\\0\\2\\1")) or die;
    send(U, 'x', 0); print defined recv(U, my $answer, 9, 0) ? 'answer' : $!{ECONNREFUSED} ? 'ECONNREFUSED' : $!, "\\n";
    socket(P, 2, 2, 1) or die "ping: $!";
    send(P, pack('C8', 8, 0, 0, 0, 0, 0, 0, 1), 0, pack('S n a4 x8', 2, 0, "\\xc0\\0\\2\\1"));
    my $ready = ''; vec($ready, fileno P, 1) = 1; print select($ready, undef, undef, 0.5) ? 'answer' : 'none', "\\n";`;
  expect((await vm.execArgv("perl", ["-MErrno", "-e", program])).stdout).toBe("ECONNREFUSED\nnone\n");
});
