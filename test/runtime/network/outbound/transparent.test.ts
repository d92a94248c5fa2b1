// @module-tag any-user
import type { Socket } from "node:net";
import { expect, test } from "vitest";
import {
  echoAtEnd,
  listenOutside,
  readLine,
  startOutboundVm,
  startOutside,
} from "../../../support/outside.ts";

const greet = (socket: Socket) => void socket.end("hello\n");

test("a program without proxy support reaches the names and addresses that a rule allows, and no others", async () => {
  const port = await listenOutside(greet, "127.0.0.2");
  const { vm, denied, resolved } = startOutboundVm(
    { outbound: { allow: ["db.test", `127.0.0.2:${port}`] } },
    { "db.test": ["127.0.0.2"], "other.test": ["127.0.0.2"] },
  );
  expect((await vm.exec(readLine("DB.test", port))).stdout).toBe("hello\n");
  expect((await vm.exec(readLine("127.0.0.2", port))).stdout).toBe("hello\n");
  expect((await vm.exec(`curl -sS --noproxy '*' --http0.9 http://db.test:${port}/`)).stdout).toBe("hello\n");
  expect(denied).toEqual([]);
  // A name that no rule allows is never looked up.
  expect((await vm.exec(readLine("other.test", port))).stdout).toContain("not known");
  expect(resolved).not.toContain("other.test");
  const reason = "the policy does not allow this name";
  expect(denied.at(0)).toEqual({ host: "other.test", port: 53, reason });
  // An address that no rule allows: the program sees a reset, and the log has its pid.
  const pid = Number((await vm.exec(`echo $$; exec ${readLine("192.0.2.9", 5432)}`)).stdout.split("\n")[0]);
  expect(denied.at(-1)).toMatchObject({ host: "192.0.2.9", port: 5432, pid: expect.any(Number) });
  expect(denied.at(-1)?.pid).toBeGreaterThanOrEqual(pid);
  // The addresses of names are the VM's own, and the same in IPv4 and IPv6.
  const { stdout } = await vm.exec("getent ahostsv4 db.test; getent ahostsv6 db.test; cat /etc/resolv.conf");
  expect(stdout).toMatch(/^198\.18\.0\.\d+ /);
  expect(stdout).toContain("fd61:6765:6e74:766d::c612:");
  expect(stdout).toContain("nameserver 198.18.0.1\n");
});

test("a policy that changes opens and closes the way for programs without proxy support", async () => {
  const port = await listenOutside((socket) => void socket.write("hello\n"), "127.0.0.2");
  const { vm } = startOutboundVm({ outbound: "none" });
  // Under "none" nothing is set up: the kernel has no route.
  expect((await vm.exec(readLine("192.0.2.9", port))).stdout).toContain("Network is unreachable");
  expect((await vm.exec(`${readLine("192.0.2.9", port)}; cat /etc/resolv.conf`)).stdout).not.toContain(
    "nameserver",
  );
  await vm.setNetworkPolicy({ outbound: { allow: [`127.0.0.2:${port}`] } });
  expect((await vm.exec(readLine("127.0.0.2", port))).stdout).toBe("hello\n");
  const open = vm.exec(
    `bash -c 'exec 3<>/dev/tcp/127.0.0.2/${port}; head -1 <&3; touch /tmp/open; cat <&3; echo cut'`,
  );
  await vm.exec("until test -e /tmp/open; do sleep 0.05; done");
  await vm.setNetworkPolicy({ outbound: { allow: ["127.0.0.3:1"] } });
  expect((await open).stdout).toBe("hello\ncut\n");
  // The place is the VM's own again.
  expect((await vm.exec(readLine("127.0.0.2", port))).stdout).toContain("Connection refused");
});

test("a side that ends a connection still gets the rest, under back-pressure, byte for byte", async () => {
  const port = await listenOutside(echoAtEnd);
  const { vm } = startOutboundVm({ outbound: { allow: [`host.agent-vm:${port}`] } });
  const program = `
    use Socket; my $data = join '', map { pack 'N', $_ } 1 .. 500_000;
    my $address = inet_aton('host.agent-vm') or die 'no address';
    socket(S, PF_INET, SOCK_STREAM, 0); connect(S, sockaddr_in(${port}, $address)) or die $!;
    for (my $at = 0; $at < length $data;) { $at += syswrite(S, $data, 1 << 20, $at) // die $! }
    shutdown(S, 1); my $got = ''; 1 while sysread(S, $got, 1 << 16, length $got);
    print $got eq $data ? 'same' : length $got;`;
  expect((await vm.execArgv("perl", ["-e", program])).stdout).toBe("same");
});

test("the host's name opens the server's machine on the port of its rule only", async () => {
  const port = await listenOutside(greet);
  const closed = await listenOutside(greet);
  const { vm, denied } = startOutboundVm({ outbound: { allow: [`host.agent-vm:${port}`] } });
  expect((await vm.exec(readLine("host.agent-vm", port))).stdout).toBe("hello\n");
  expect((await vm.exec(`curl -sS --proxytunnel --http0.9 http://host.agent-vm:${port}/`)).stdout).toBe(
    "hello\n",
  );
  expect((await vm.exec(readLine("host.agent-vm", closed))).stdout).not.toContain("hello");
  expect(denied.at(-1)).toMatchObject({ host: "host.agent-vm", port: closed });
  for (const outbound of ["all", { allow: ["*", "host.agent-vm", "*.agent-vm"] }] as const) {
    await vm.setNetworkPolicy({
      outbound: typeof outbound === "string" ? outbound : { allow: [...outbound.allow] },
    });
    expect((await vm.exec(readLine("host.agent-vm", port))).stdout).not.toContain("hello");
    expect((await vm.exec(`curl -sS http://host.agent-vm:${port}/`)).stdout).toContain(
      "needs a rule with a port",
    );
  }
});

test("headers are added to plain requests of programs without proxy support", async () => {
  const { port, requests } = await startOutside();
  const { vm } = startOutboundVm(
    {
      outbound: { allow: ["api.test", `127.0.0.1:${port}`] },
      headers: { [`http://api.test:${port}`]: { authorization: "Bearer secret" } },
    },
    { "api.test": ["127.0.0.1"] },
  );
  const { stdout } = await vm.exec(
    `curl -sS --noproxy '*' -H 'authorization: mine' http://api.test:${port}/x`,
  );
  expect(JSON.parse(stdout)).toMatchObject({ url: "/x", host: `api.test:${port}` });
  expect(requests[0]?.headers.authorization).toBe("Bearer secret");
});

test("every name server that a program chooses is the VM's resolver, over UDP and TCP", async () => {
  const { vm } = startOutboundVm(
    { outbound: { allow: ["db.test", "gone.test"] } },
    { "db.test": ["192.0.2.1"] },
  );
  const program = `
    const { Resolver } = require("node:dns/promises"), net = require("node:net");
    const resolver = new Resolver();
    resolver.setServers(["192.0.2.53"]);
    const ask = (kind, name) => resolver["resolve" + kind](name).catch(({ code }) => code);
    (async () => {
      console.log(JSON.stringify([await ask(4, "db.test"), await ask("Mx", "db.test"), await ask(4, "gone.test"), await ask(6, "no.test")]));
      const question = Buffer.from("002012340100000100000000000002646204746573740000010001", "hex");
      question.writeUInt16BE(question.length - 2);
      const socket = net.connect(53, "2001:db8::53", () => socket.end(Buffer.concat([question, question])));
      let answers = Buffer.alloc(0);
      socket.on("data", (data) => (answers = Buffer.concat([answers, data])));
      socket.on("close", () => console.log(answers.length === 2 * (question.length + 16), answers.at(-4)));
    })();`;
  expect((await vm.execArgv("node", ["-e", program])).stdout).toBe(
    '[["198.18.0.3"],"ENODATA","ENOTFOUND","ENOTFOUND"]\ntrue 198\n',
  );
});
