// @module-tag any-user
// @module-tag attack
import { createServer } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { MAX_DENIED_EVENTS_PER_SECOND } from "../../../../src/runtime/network/limits.ts";
import { startOutboundVm, startOutside } from "../../../support/outside.ts";

/**
 * Sends a raw request to the proxy and prints the response. dd sends it in one write: bash writes line by line, and a
 * refusal cuts later lines.
 */
const raw = (request: string) =>
  `bash -c 'exec 3<>/dev/tcp/127.0.0.1/\${HTTP_PROXY##*:}; printf "$1" | dd bs=64k iflag=fullblock status=none >&3; timeout 5 head -c 300 <&3' sh '${request}'`;

test("denies every spelling of loopback, link-local and metadata addresses, by every protocol", async () => {
  const { port, requests } = await startOutside();
  const { curl, vm } = startOutboundVm(
    { outbound: "all" },
    { localhost: ["127.0.0.1", "::1"], "metadata.google.internal": ["169.254.169.254"] },
  );
  const loopback = [
    "localhost",
    "LOCALHOST.",
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "0",
  ];
  const more = ["[::1]", "[::]", "[::ffff:127.0.0.1]", "[64:ff9b::127.0.0.1]", "127.0.0.1."];
  const metadata = [
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "[fd00:ec2::254]",
    "metadata.google.internal",
  ];
  for (const host of [...loopback, ...more, ...metadata]) {
    const direct = await vm.exec(
      raw(`GET http://${host}:${port}/ HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n`),
    );
    expect([host, direct.stdout.slice(9, 12)]).toEqual([host, "403"]);
    const tunnel = await vm.exec(raw(`CONNECT ${host}:${port} HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n`));
    expect([host, tunnel.stdout.slice(9, 12)]).toEqual([host, "403"]);
  }
  for (const host of ["localhost", "127.0.0.1", "[::1]", "169.254.169.254"]) {
    const socks = await curl(`--noproxy '' -x socks5h://\${HTTP_PROXY#http://} http://${host}:${port}/`);
    expect([host, socks.exitCode]).toEqual([host, 97]);
  }
  expect(requests).toEqual([]);
});

test("denies a name that points at this machine (DNS rebinding), and resolves it once", async () => {
  const victim = await startOutside();
  const good = await startOutside(undefined, undefined, "127.0.0.2");
  let asked = 0;
  // The first answer is good, the second one is bad.
  const rebinding = () => (asked++ === 0 ? ["127.0.0.2"] : ["127.0.0.1"]);
  const { curl, resolved } = startOutboundVm(
    { outbound: { allow: ["evil.test", `127.0.0.2:${good.port}`] } },
    { "evil.test": rebinding, "both.evil.test": ["127.0.0.1"] },
  );
  expect((await curl(`http://evil.test:${good.port}/`)).text).toContain("evil.test");
  expect(resolved).toEqual(["evil.test"]);
  expect((await curl(`http://evil.test:${victim.port}/`)).text).toContain(
    "need a rule with address and port",
  );
  expect(victim.requests).toEqual([]);
});

test("checks a redirect to metadata like any other request", async () => {
  const outside = await startOutside((_request, response) => {
    response.writeHead(302, { location: "http://169.254.169.254/latest/meta-data/" }).end();
  });
  const { curl, denied } = startOutboundVm(
    { outbound: { allow: ["api.test", `127.0.0.1:${outside.port}`] } },
    { "api.test": ["127.0.0.1"] },
  );
  expect((await curl(`-L http://api.test:${outside.port}/`)).text).toContain("169.254.169.254:80 is denied");
  expect(denied).toHaveLength(1);
});

test("Host headers, users in URLs and broken lines cannot reach another host", async () => {
  const allowed = await startOutside();
  const victim = await startOutside();
  const { vm, curl } = startOutboundVm(
    { outbound: { allow: ["api.test", `127.0.0.1:${allowed.port}`] } },
    { "api.test": ["127.0.0.1"] },
  );
  const url = `http://api.test:${allowed.port}/`;
  expect(JSON.parse((await curl(`-H 'Host: inner.test' ${url}`)).text).host).toBe(`api.test:${allowed.port}`);
  for (const line of [
    `GET http://api.test:${allowed.port}@127.0.0.1:${victim.port}/ HTTP/1.1`,
    `GET http://api.test@127.0.0.1:${victim.port}/ HTTP/1.1`,
    `GET http://127.0.0.1:${victim.port}\\\\@api.test/ HTTP/1.1`,
    `CONNECT api.test:${allowed.port}@127.0.0.1:${victim.port} HTTP/1.1`,
    `CONNECT 127.0.0.1:${victim.port} HTTP/1.1`,
    `GET / HTTP/1.1\\r\\nX: http://127.0.0.1:${victim.port}/`,
    `GET ftp://127.0.0.1:${victim.port}/ HTTP/1.1`,
    `GET //127.0.0.1:${victim.port}/ HTTP/1.1`,
  ]) {
    const { stdout } = await vm.exec(
      raw(`${line}\\r\\nHost: 127.0.0.1:${victim.port}\\r\\nConnection: close\\r\\n\\r\\n`),
    );
    expect([line, stdout.slice(9, 12)]).toEqual([line, expect.stringMatching(/^40[03]$/)]);
  }
  expect(victim.requests).toEqual([]);
  // Request smuggling: a second request hides behind the first one's body.
  await vm.exec(
    raw(
      `POST ${url} HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 0\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n0\\r\\n\\r\\nGET http://127.0.0.1:${victim.port}/ HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n`,
    ),
  );
  expect(victim.requests).toEqual([]);
});

test("programs cannot reach the host's loopback, its abstract sockets or raw sockets", async () => {
  const { port } = await startOutside();
  const name = `agent-vm-test-${process.pid}`;
  const abstract = createServer((socket) => socket.end("reached"));
  await new Promise<void>((resolve) => abstract.listen(`\0${name}`, resolve));
  onTestFinished(() => void abstract.close());
  const { vm } = startOutboundVm({ outbound: "all" });
  const program = `
    const net = require("node:net");
    const attempt = (options) => new Promise((resolve) => {
      const socket = net.connect(options, () => resolve("reached"));
      socket.on("error", (error) => resolve(error.code));
    });
    (async () => {
      console.log(await attempt({ port: ${port}, host: "127.0.0.1" }));
      console.log(await attempt({ path: "\\0${name}" }));
      console.log(await attempt({ port: ${port}, host: "::1" }));
    })();`;
  expect((await vm.execArgv("node", ["-e", program])).stdout).toBe(
    "ECONNREFUSED\nECONNREFUSED\nECONNREFUSED\n",
  );
  // Raw and packet sockets; SOCK_RAW is 3, IPPROTO_ICMP 1, AF_PACKET 17.
  const sockets =
    "print socket(S,2,3,1)?'open':$!{EPERM}?'EPERM':\"$!\", ' ', socket(P,17,3,768)?'open':$!{EAFNOSUPPORT}?'EAFNOSUPPORT':\"$!\"";
  expect((await vm.execArgv("perl", ["-MErrno", "-e", sockets])).stdout).toBe("EPERM EAFNOSUPPORT");
});

test("ioctl and netlink calls change no interface and no route", async () => {
  const { vm } = startOutboundVm({ outbound: "all" });
  // SIOCSIFFLAGS (down), SIOCSIFADDR (10.0.0.1), SIOCADDRT (default), and a netlink socket's RTM_DELLINK of lo.
  const program = `
    use Errno; socket(S, 2, 2, 0) or die;
    my $address = pack('S n a4 x8', 2, 0, pack('C4', 10, 0, 0, 1));
    my %calls = (
      flags => [0x8914, pack('a16 s x22', 'lo', 0)],
      address => [0x8916, pack('a16 a16 x8', 'lo', $address)],
      route => [0x890B, pack('Q a16 a16 a16 S x94', 0, $address, $address, $address, 3)],
    );
    for (sort keys %calls) {
      my ($number, $data) = @{$calls{$_}};
      print "$_ ", (ioctl(S, $number, $data) ? 'changed' : $!{EPERM} ? 'EPERM' : $!), "\n";
    }
    socket(N, 16, 3, 0) or die;
    send(N, pack('L S S L L C x S l L L', 32, 17, 5, 1, 0, 0, 0, 1, 0, 0), 0);
    recv(N, my $answer, 1000, 0);
    print "link ", (unpack('l', substr($answer, 16, 4)) == -1 ? 'EPERM' : 'changed'), "\n";`;
  const { stdout } = await vm.execArgv("perl", ["-e", program]);
  expect(stdout).toBe("address EPERM\nflags EPERM\nroute EPERM\nlink EPERM\n");
  expect((await vm.exec("cut -d: -f1 /proc/net/dev | tail -n +3")).stdout.trim()).toBe("lo");
});

test("a scan of all ports in the VM finds only the proxy and the socket of intercepted connections", {
  tags: ["slow"],
}, async () => {
  const { port } = await startOutside();
  const { vm } = startOutboundVm({ outbound: "all" });
  // Only the server accepts a connection. None of the ports is the host's.
  const program = `
    use Socket;
    for my $host ('127.0.0.1', '127.0.0.2') {
      for my $port (1 .. 65535) {
        socket(S, PF_INET, SOCK_STREAM, 0) or die;
        my $reached = connect(S, sockaddr_in($port, inet_aton($host)));
        # A socket whose own port is the one it connects to reaches itself.
        print "$host:$port\n" if $reached && getsockname(S) ne getpeername(S);
        close S;
      }
    }`;
  const { stdout } = await vm.execArgv("perl", ["-e", program]);
  expect(stdout).toBe("127.0.0.1:61080\n127.0.0.1:61081\n");
  expect(stdout).not.toContain(`:${port}\n`);
});

test("programs cannot change interfaces, addresses, routes or namespaces", async ({ skip }) => {
  const { vm } = startOutboundVm({ outbound: "all" });
  if ((await vm.exec("command -v ip")).exitCode !== 0) {
    console.log("No attack with ip: iproute2 is not installed");
    skip();
  }
  for (const line of [
    "ip link set lo down",
    "ip link add dummy0 type dummy",
    "ip link add veth0 type veth peer name veth1",
    "ip addr add 10.0.0.1/8 dev lo",
    "ip route add default dev lo",
    "ip netns add x",
    "unshare --net true",
    "unshare --user --net true",
    "sysctl -w net.ipv4.ip_forward=1 || echo 1 > /proc/sys/net/ipv4/ip_forward",
  ]) {
    expect([line, (await vm.exec(`${line} 2>/dev/null`)).exitCode]).not.toEqual([line, 0]);
  }
});

test("a flood of denials fills neither the log nor the wire, and idle connections do not lock others out", {
  tags: ["slow"],
}, async () => {
  const { port } = await startOutside();
  const { vm, denied, curl } = startOutboundVm(
    { outbound: { allow: ["api.test", `127.0.0.1:${port}`] } },
    { "api.test": ["127.0.0.1"] },
  );
  const flood = `
    const [host, port] = process.env.HTTP_PROXY.slice(7).split(":");
    const agent = new (require("node:http").Agent)({ keepAlive: false, maxSockets: 50 });
    let left = 2000;
    for (let n = 0; n < 2000; n++) require("node:http")
      .get({ host, port, agent, path: "http://h" + n + ".test/", headers: { host: "x" } }, (r) => { r.resume(); r.on("close", done); })
      .on("error", done);
    function done() { if (--left === 0) console.log("done"); }`;
  const startedAt = Date.now();
  expect((await vm.execArgv("node", ["-e", flood])).stdout).toBe("done\n");
  const seconds = Math.ceil((Date.now() - startedAt) / 1000) + 1;
  const log = await vm.getNetworkLog();
  expect(log).toHaveLength(1000);
  expect(log.at(-1)?.host).toMatch(/^h\d+\.test$/);
  expect(denied.length).toBeLessThanOrEqual(seconds * MAX_DENIED_EVENTS_PER_SECOND);
  // The proxy cuts connections above its limit, and accepts new ones after the program has ended.
  const idle = `
    const [host, port] = process.env.HTTP_PROXY.slice(7).split(":");
    let cut = 0;
    for (let n = 0; n < 300; n++) net.connect(port, host).on("close", () => { if (++cut === 44) { console.log("cut"); process.exit(); } }).on("error", () => {});`;
  expect((await vm.execArgv("node", ["-e", idle], { timeout: 60_000 })).stdout).toBe("cut\n");
  await expect.poll(async () => (await curl(`http://api.test:${port}/`)).text).toContain("api.test");
});
