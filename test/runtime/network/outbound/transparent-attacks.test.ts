// @module-tag any-user
// @module-tag attack
import { expect, test } from "vitest";
import { attempt, listenOutside, readLine, startOutboundVm } from "../../../support/outside.ts";

test("no address of the server's machine, its link or a metadata service opens without a rule of its own", async () => {
  const port = await listenOutside((socket) => void socket.end("secret\n"), "0.0.0.0");
  const { vm, denied } = startOutboundVm(
    { outbound: "all" },
    { localhost: ["127.0.0.1"], "rebound.test": ["127.0.0.1"], "metadata.test": ["169.254.169.254"] },
  );
  const inside: [string, number][] = [
    "127.0.0.1",
    "127.0.0.2",
    "::1",
    "::ffff:127.0.0.1",
    "localhost",
    "198.18.0.2",
  ].map((host) => [host, port]);
  const outside: [string, number][] = [
    ...["0.0.0.1", "169.254.169.254", "168.63.129.16", "100.100.100.200", "fd00:ec2::254", "64:ff9b::7f00:1"],
    ...["::7f00:1", "2002:7f00:1::", "fe80::1", "198.18.77.77", "fd61:6765:6e74:766d::c612:4d4d"],
    ...["rebound.test", "metadata.test"],
  ].map((host) => [host, port]);
  const { stdout } = await vm.execArgv("node", ["-e", attempt([...inside, ...outside])]);
  const lines = stdout.trim().split("\n");
  expect(lines.slice(0, inside.length)).toEqual(inside.map(([host]) => `${host} ECONNREFUSED`));
  for (const line of lines.slice(inside.length))
    expect(line).toMatch(/ (ECONNRESET|EINVAL|ENETUNREACH|EACCES)$/);
  expect(lines).toHaveLength(inside.length + outside.length);
  const reasons = new Set(denied.map(({ reason }) => reason));
  expect(reasons).toContain("this machine, its link and metadata services need a rule with address and port");
  expect(reasons).toContain("no name has this address any more: resolve the name again");
});

test("a name that points at this machine later (DNS rebinding) stays closed", async () => {
  const port = await listenOutside((socket) => void socket.end("secret\n"));
  const good = await listenOutside((socket) => void socket.end("good\n"), "127.0.0.2");
  let asked = 0;
  const { vm, denied } = startOutboundVm(
    { outbound: { allow: ["evil.test", `127.0.0.2:${good}`] } },
    { "evil.test": () => (asked++ === 0 ? ["127.0.0.2"] : ["127.0.0.1"]) },
  );
  expect((await vm.exec(readLine("evil.test", port))).stdout).not.toContain("secret");
  expect(denied.at(-1)).toMatchObject({ host: "evil.test", port });
});

test("a connection straight to the server's socket is one to loopback, which no rule forges", async () => {
  const { vm, denied } = startOutboundVm({ outbound: { allow: ["*", "0.0.0.0/0"] } });
  const program = attempt([
    ["127.0.0.1", 61_081],
    ["::1", 61_081],
  ]);
  const { stdout } = await vm.execArgv("node", ["-e", program]);
  expect(stdout).toBe("127.0.0.1 ECONNRESET\n::1 ECONNRESET\n");
  expect(denied.map(({ host }) => host)).toEqual(["127.0.0.1", "::1"]);
});

test("a program changes no rule, no route and no address, and makes no transparent or raw socket", async () => {
  const { vm } = startOutboundVm({ outbound: { allow: ["192.0.2.1:1"] } });
  // NFT_MSG_DELTABLE of all tables in a batch, RTM_DELROUTE of the local default route, SO_MARK, IP_TRANSPARENT.
  const program = `
    sub answer { my ($protocol, $type, $data) = @_;
      # The seccomp filter has no netlink but that of routes.
      socket(N, 16, 3, $protocol) or return $!{EPERM} || $!{EPROTONOSUPPORT} ? 'EPERM' : "$!";
      send(N, $data, 0, pack('SSLL', 16, 0, 0, 0)) or return $!{EPERM} ? 'EPERM' : "$!";
      recv(N, my $answer, 4096, 0); return unpack('l', substr($answer, 16, 4)) == -1 ? 'EPERM' : 'changed'; }
    my $batch = sub { pack('LSSLLCCn', 20, $_[0], 1, 1, 0, 0, 0, 10) };
    print 'rules ', answer(12, 0, $batch->(0x10) . pack('LSSLLCCn', 20, 0xa02, 5, 2, 0, 0, 0, 0) . $batch->(0x11)), "\\n";
    print 'route ', answer(0, 0, pack('LSSLLCCCCCCCCLSSL', 36, 25, 5, 1, 0, 2, 0, 0, 0, 255, 4, 254, 2, 0, 8, 4, 1)), "\\n";
    socket(S, 2, 1, 0) or die;
    print 'transparent ', (setsockopt(S, 0, 19, pack('l', 1)) ? 'made' : $!{EPERM} ? 'EPERM' : $!), "\\n";
    print 'mark ', (setsockopt(S, 1, 36, pack('l', 1)) ? 'made' : $!{EPERM} ? 'EPERM' : $!), "\\n";
    print 'raw ', (socket(R, 2, 3, 1) ? 'made' : $!{EPERM} ? 'EPERM' : $!), "\\n";`;
  expect((await vm.execArgv("perl", ["-MErrno", "-e", program])).stdout).toBe(
    "rules EPERM\nroute EPERM\ntransparent EPERM\nmark EPERM\nraw EPERM\n",
  );
});

test("packets other than TCP and DNS fail at once", async () => {
  const { vm } = startOutboundVm({ outbound: "all" });
  const program = `
    for my $to ([443, '192.0.2.1'], [61081, '127.0.0.1']) {
      socket(U, 2, 2, 0) or die;
      print send(U, 'x', 0, pack('S n a4 x8', 2, $to->[0], pack 'C4', split /\\./, $to->[1])) ? 'sent' : $!{EPERM} ? 'EPERM' : $!, "\\n";
    }
    # An echo request of ICMP, by a socket that needs no capability.
    print !socket(P, 2, 2, 1) ? 'EPERM' : send(P, pack('C8', 8, 0, 0, 0, 0, 0, 0, 1), 0, pack('S n a4 x8', 2, 0, "\\xc0\\0\\2\\1")) ? 'sent' : $!{EPERM} ? 'EPERM' : $!, "\\n";`;
  expect((await vm.execArgv("perl", ["-MErrno", "-e", program])).stdout).toBe("EPERM\nEPERM\nEPERM\n");
});

test("floods of connections and of hostile DNS packets end, and the way out works after them", {
  tags: ["slow"],
}, async () => {
  const port = await listenOutside((socket) => void socket.end("hello\n"), "127.0.0.2");
  const { vm, denied } = startOutboundVm(
    { outbound: { allow: ["db.test", `127.0.0.2:${port}`] } },
    { "db.test": ["127.0.0.2"] },
  );
  const program = `
    const net = require("node:net"), dgram = require("node:dgram"), { randomBytes } = require("node:crypto");
    const udp = dgram.createSocket("udp4");
    udp.on("error", () => {});
    let left = 800, answers = 0;
    udp.on("message", () => answers++);
    const done = () => { if (--left === 0) { console.log("done", answers <= 5000); process.exit(); } };
    for (let n = 0; n < 5000; n++) {
      const message = randomBytes(1 + n % 700);
      if (n % 2 && message.length > 12) Buffer.from([0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]).copy(message);
      udp.send(message, 53, "192.0.2." + (n % 200), () => {});
    }
    for (let n = 0; n < 800; n++) {
      const socket = net.connect(1 + n, "192.0.2." + (n % 200));
      socket.on("error", () => {}).on("close", done).on("data", () => {});
    }`;
  expect((await vm.execArgv("node", ["-e", program], { timeout: 100_000 })).stdout).toBe("done true\n");
  expect((await vm.getNetworkLog()).length).toBeLessThanOrEqual(1000);
  expect(denied.length).toBeGreaterThan(0);
  await expect
    .poll(async () => (await vm.exec(readLine("db.test", port))).stdout, { timeout: 30_000 })
    .toBe("hello\n");
});
