// @module-tag any-user
import { createServer } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { MemoryStore } from "../../../../src/runtime/store/store.ts";
import { makeCertificate } from "../../../support/certificate.ts";
import { openDescriptors, ownDescendants } from "../../../support/host.ts";
import { startOutboundVm, startOutside } from "../../../support/outside.ts";
import { failure } from "../../../support/until.ts";

test("a denied host's control characters are escaped in the log, the event and the answer", async () => {
  const { vm, denied } = startOutboundVm({ outbound: { allow: ["a.example"] } });
  const program = `
    const [host, port] = process.env.HTTP_PROXY.slice(7).split(":");
    const name = Buffer.from("a\\nFAKE\\x1b[2J", "latin1");
    const socket = net.connect(port, host, () => socket.write(Buffer.concat([Buffer.from([5, 1, 0, 5, 1, 0, 3, name.length]), name, Buffer.from([0, 80])])));
    socket.on("data", (data) => data.length === 10 && socket.end());`;
  await vm.execArgv("node", ["-e", program]);
  const [entry] = await vm.getNetworkLog();
  expect(entry?.host).toBe("a\\u000aFAKE\\u001b[2J");
  expect(denied[0]?.host).toBe(entry?.host);
});

test("yarn, Maven and start scripts of Java find the proxy by their variables", async () => {
  const { vm } = startOutboundVm({ outbound: { allow: ["a.example"] } });
  const { stdout } = await vm.exec(
    "echo $HTTP_PROXY $YARN_HTTP_PROXY $YARN_HTTPS_PROXY $JAVA_OPTS $MAVEN_OPTS",
  );
  const [proxy = "", ...others] = stdout.trim().split(" ");
  expect(others.slice(0, 2)).toEqual([proxy, proxy]);
  const java = ["http", "https"].flatMap((scheme) => [
    `-D${scheme}.proxyHost=127.0.0.1`,
    `-D${scheme}.proxyPort=${new URL(proxy).port}`,
  ]);
  expect(others.slice(2, 10)).toEqual([...java, ...java]);
});

test("by default there is no outside network, and a program is refused at once with the policy's name", async () => {
  const { vm, denied } = startOutboundVm({});
  expect(await vm.exec("curl -sS http://a.example")).toMatchObject({
    stdout: 'agent-vm: a.example:80 is denied: the policy "none" allows no outside network',
    stderr: "",
    exitCode: 0,
  });
  const tunnel = await vm.exec("curl -sS https://b.example");
  expect(tunnel.stderr).toMatch(/^curl: \(56\).*403/);
  expect(tunnel.stderr).toContain(
    'agent-vm: the network policy denied b.example:443: the policy "none" allows no outside network\n',
  );
  expect((await vm.exec("curl -sS https://b.example || true")).stderr).not.toContain("agent-vm");
  const python = "import urllib.request as u; u.urlopen('https://c.example')";
  expect((await vm.execArgv("python3", ["-c", python])).stderr).toContain(
    "403 Denied by the network policy of agent-vm",
  );
  expect((await vm.getNetworkLog()).map(({ host, port }) => `${host}:${port}`)).toEqual([
    "a.example:80",
    "b.example:443",
    "c.example:443",
  ]);
  expect(denied).toHaveLength(4);
  expect((await vm.exec("echo $PIP_RETRIES $npm_config_fetch_retries $CARGO_NET_RETRY")).stdout).toBe(
    "0 0 0\n",
  );
  expect(await vm.listPorts()).toEqual([]);
  expect(
    (await vm.exec("ls /sys/class/net 2>/dev/null || cut -d: -f1 /proc/net/dev | tail -n +3")).stdout.trim(),
  ).toBe("lo");
});

test("curl, Node and python go out through the proxy, and listPorts leaves the proxy out", async () => {
  const { port } = await startOutside();
  const { vm, curl, resolved } = startOutboundVm(
    { outbound: { allow: [`api.test:${port}`, `127.0.0.1:${port}`] } },
    { "api.test": ["127.0.0.1"] },
  );
  const url = `http://api.test:${port}/path?q=%20`;
  expect(JSON.parse((await curl(`'${url}'`)).text)).toEqual({
    method: "GET",
    url: "/path?q=%20",
    host: `api.test:${port}`,
    body: "",
  });
  expect(JSON.parse((await curl(`-X POST -d body '${url}'`)).text)).toMatchObject({
    method: "POST",
    body: "body",
  });
  // CONNECT and SOCKS 5, by name and by address.
  expect((await curl(`-p '${url}'`)).text).toContain('"url":"/path?q=%20"');
  expect((await curl(`-x socks5h://\${HTTP_PROXY#http://} '${url}'`)).text).toContain("api.test");
  expect(
    (await curl(`-x socks5://\${HTTP_PROXY#http://} http://127.0.0.1:${port}/ --noproxy ''`)).text,
  ).toContain("127.0.0.1");
  const node = await vm.exec(`node -e "fetch('${url}').then(r => r.text()).then(console.log)"`);
  expect(node.stdout).toContain('"url":"/path?q=%20"');
  const python = `import urllib.request; print(urllib.request.urlopen('${url}').read().decode())`;
  const found = await vm.exec(`command -v python3 >/dev/null || exit 99; python3 -c "${python}"`);
  if (found.exitCode !== 99) expect(found.stdout).toContain('"url":"/path?q=%20"');
  expect(await vm.listPorts()).toEqual([]);
  expect(new Set(resolved)).toEqual(new Set(["api.test"]));
});

test("a denial reaches the program, emits an event and is logged", async () => {
  const { port } = await startOutside();
  const { vm, curl, denied, resolved } = startOutboundVm(
    { outbound: { allow: ["api.test:80"] } },
    { "api.test": ["127.0.0.1"] },
  );
  expect((await curl(`http://other.test:${port}/`)).text).toBe(
    `agent-vm: other.test:${port} is denied: the policy does not allow this name`,
  );
  expect((await curl(`-p http://other.test:${port}/`)).text).toContain("403");
  expect((await curl(`-x socks5h://\${HTTP_PROXY#http://} http://other.test:${port}/`)).exitCode).toBe(97);
  const entry = { host: "other.test", port, reason: "the policy does not allow this name" };
  const pid = expect.any(Number);
  expect(denied).toEqual([
    { ...entry, pid },
    { ...entry, pid },
    { ...entry, pid },
  ]);
  const last = denied[2]?.pid;
  expect(await vm.getNetworkLog()).toEqual([{ ...entry, pid: last, count: 3, time: expect.any(Number) }]);
  // The server did not resolve a name that is not allowed.
  expect(resolved).toEqual([]);
});

test("a denial has the program's pid for every protocol, and no pid after the program has exited", {
  tags: ["slow"],
}, async () => {
  let gone: () => void = () => undefined;
  const left = new Promise<void>((resolve) => {
    gone = resolve;
  });
  const { vm, denied, resolved } = startOutboundVm(
    { outbound: { allow: ["slow.test"] } },
    {
      "slow.test": async () => {
        await left;
        return ["127.0.0.1"];
      },
    },
  );
  const ask = (bytes: string) =>
    `const [host, port] = process.env.HTTP_PROXY.slice(7).split(":");
     net.connect(port, host, function () { this.write(Buffer.from(${bytes})); }).on("data", () => {});`;
  const requests = {
    http: ask(`"GET http://http.test/ HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n"`),
    connect: ask(`"CONNECT connect.test:443 HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n"`),
    socks: ask(`[5, 1, 0, 5, 1, 0, 3, 10, ...Buffer.from("socks.test"), 0, 80]`),
  };
  const pids: Record<string, number> = {};
  for (const [name, program] of Object.entries(requests)) {
    const { pid } = await vm.spawn("node", ["-e", program]);
    pids[`${name}.test`] = pid;
    await vm.waitProcess(pid);
  }
  expect(Object.fromEntries(denied.map(({ host, pid }) => [host, pid]))).toEqual(pids);
  const brief = ask(`"GET http://slow.test/ HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n"`);
  const { pid } = await vm.spawn("node", ["-e", brief]);
  await expect.poll(() => resolved).toContain("slow.test");
  await vm.killProcess(pid);
  await vm.waitProcess(pid);
  gone();
  await expect.poll(() => denied.length).toBe(4);
  expect(denied[3]).toEqual({
    host: "slow.test",
    port: 80,
    reason: expect.stringContaining("need a rule with address and port"),
  });
});

test("a new policy cuts connections that it denies, and survives a restart", { tags: ["slow"] }, async () => {
  const outside = createServer((socket) => socket.on("error", () => socket.destroy()).write("ready\n"));
  await new Promise<void>((resolve) => outside.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void outside.close());
  const { port } = outside.address() as { port: number };
  const store = new MemoryStore();
  const { vm } = startOutboundVm({}, { "api.test": ["127.0.0.1"] }, { store });
  await vm.exec("true");
  const outbound = { allow: ["api.test", `127.0.0.1:${port}`] };
  await vm.setNetworkPolicy({ outbound });
  expect(await vm.getNetworkPolicy()).toEqual({ outbound, headers: {} });
  const tunnel = `
    const [host, port] = process.env.HTTP_PROXY.slice(7).split(":");
    const socket = net.connect(port, host, () => socket.write("CONNECT api.test:${port} HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n"));
    socket.pipe(process.stdout);`;
  const { pid } = await vm.spawn("node", ["-e", tunnel]);
  const output = async () =>
    Buffer.concat((await vm.readProcessOutput(pid)).chunks.map(({ data }) => data)).toString();
  await expect.poll(output).toContain("ready\n");
  await vm.setNetworkPolicy({ outbound: "none" });
  await vm.waitProcess(pid);
  expect((await vm.exec(`curl -sS http://api.test:${port}`)).stdout).toContain('the policy "none"');
  await vm.setNetworkPolicy({ outbound });
  await vm.dispose("sleep");
  const next = startOutboundVm({}, { "api.test": ["127.0.0.1"] }, { store });
  expect(await next.vm.getNetworkPolicy()).toEqual({ outbound, headers: {} });
  expect(
    (
      await next.vm.execArgv("node", [
        "-e",
        `${tunnel}socket.on("data", (data) => /ready/.test(data) && process.exit())`,
      ])
    ).stdout,
  ).toContain("ready");
});

test("credentials are added outside and never enter the VM", async () => {
  const { key, cert } = await makeCertificate("api.test");
  const tls = await startOutside(undefined, { key, cert });
  const plain = await startOutside();
  const secret = "s3cr3t-credential-of-the-border";
  const { vm, curl } = startOutboundVm(
    {
      outbound: { allow: ["api.test", "plain.test", `127.0.0.1:${tls.port}`, `127.0.0.1:${plain.port}`] },
      headers: {
        [`https://api.test:${tls.port}`]: { "x-api-key": secret },
        [`http://plain.test:${plain.port}`]: { authorization: `Bearer ${secret}` },
      },
    },
    { "api.test": ["127.0.0.1"], "plain.test": ["127.0.0.1"] },
    { ca: cert },
  );
  expect((await curl(`-H 'x-api-key: guess' http://api.test:${tls.port}/v1`)).text).toContain('"url":"/v1"');
  expect(tls.requests[0]?.headers["x-api-key"]).toBe(secret);
  await curl(`http://plain.test:${plain.port}/`);
  expect(plain.requests[0]?.headers.authorization).toBe(`Bearer ${secret}`);
  // No other host gets the secret.
  await curl(`http://api.test:${plain.port}/`);
  expect(plain.requests[1]?.headers["x-api-key"]).toBeUndefined();
  expect(await vm.getNetworkPolicy()).toMatchObject({
    headers: {
      [`https://api.test:${tls.port}`]: ["x-api-key"],
      [`http://plain.test:${plain.port}`]: ["authorization"],
    },
  });
  const half = secret.length / 2;
  const pattern = `[${secret[0]}]${secret.slice(1, half)}`;
  const grep = await vm.exec(
    `env | grep -c '${pattern}'; grep -rls '${pattern}' / --exclude-dir=usr --exclude-dir=proc --exclude-dir=sys 2>/dev/null;` +
      `for f in /proc/[0-9]*/environ /proc/[0-9]*/cmdline; do tr '\\0' '\\n' < $f | grep -v grep | grep -q '${pattern}' && echo $f; done; true`,
  );
  expect(grep.stdout).toBe("0\n");
});

test("credentials are added to plain requests in a tunnel", { tags: ["slow"] }, async () => {
  const { key, cert } = await makeCertificate("api.test");
  const tls = await startOutside(undefined, { key, cert });
  const plain = await startOutside();
  const { curl } = startOutboundVm(
    {
      outbound: { allow: ["api.test", "plain.test", `127.0.0.1:${tls.port}`, `127.0.0.1:${plain.port}`] },
      headers: {
        [`https://api.test:${tls.port}`]: { "x-api-key": "secret" },
        [`http://plain.test:${plain.port}`]: { "x-api-key": "secret" },
      },
    },
    { "api.test": ["127.0.0.1"], "plain.test": ["127.0.0.1"] },
    { ca: cert },
  );
  const keys = ({ requests }: typeof plain) => requests.map(({ headers }) => headers["x-api-key"]);
  const url = `http://plain.test:${plain.port}`;
  // Both requests use one tunnel, and neither goes to a host that only the Host header names.
  await curl(`--proxytunnel -H 'Host: other.test' ${url}/1 ${url}/2`);
  expect(keys(plain)).toEqual(["secret", "secret"]);
  expect(plain.requests.map(({ headers }) => headers.host)).toEqual(
    [1, 2].map(() => `plain.test:${plain.port}`),
  );
  expect((await curl(`--proxytunnel http://api.test:${tls.port}/v1`)).text).toContain('"url":"/v1"');
  expect(keys(tls)).toEqual(["secret"]);
  // The server ends the TLS of the program with a certificate that curl trusts.
  await curl(`-H 'x-api-key: mine' https://api.test:${tls.port}/`);
  expect(keys(tls)).toEqual(["secret", "secret"]);
});

test("refuses a tunnel in a tunnel", async () => {
  const plain = await startOutside();
  const host = `plain.test:${plain.port}`;
  const { vm } = startOutboundVm(
    { outbound: { allow: [host] }, headers: { [`http://${host}`]: { "x-api-key": "secret" } } },
    { "plain.test": ["127.0.0.1"] },
  );
  const program = `
    const { hostname, port } = new URL(process.env.HTTP_PROXY);
    const socket = require("node:net").connect(Number(port), hostname);
    const connect = "CONNECT ${host} HTTP/1.1\\r\\nhost: ${host}\\r\\n\\r\\n";
    socket.on("data", (data) => {
      console.log(String(data).split("\\r\\n")[0]);
      socket.write(connect);
    });
    socket.write(connect);`;
  const { stdout } = await vm.execArgv("node", ["-e", program], { timeout: 60_000 });
  expect(stdout).toBe("HTTP/1.1 200 Connection Established\nHTTP/1.1 400 Bad Request\n");
});

test("applies the policy to a plain request in a tunnel", async () => {
  const plain = await startOutside();
  const { vm, curl } = startOutboundVm(
    { outbound: "none", headers: { [`http://plain.test:${plain.port}`]: { "x-api-key": "secret" } } },
    { "plain.test": ["127.0.0.1"] },
  );
  await vm.setNetworkPolicy({ outbound: { allow: ["other.test"] } });
  const { text } = await curl(`--proxytunnel http://plain.test:${plain.port}/`);
  expect(text).toContain("the policy does not allow this name");
  await curl(`--insecure https://plain.test:${plain.port}/`);
  expect(plain.requests).toEqual([]);
});

test("refuses invalid rules with invalid_argument", async () => {
  const { parseArgs } = await import("../../../../src/api/methods/parse.ts");
  for (const outbound of [
    "some",
    { allow: ["a b"] },
    { allow: ["x:99999"] },
    { allow: [], block: [] },
    { allow: ["1.2.3.4/33"] },
  ]) {
    expect(await failure((async () => parseArgs("setNetworkPolicy", [{ outbound }]))())).toMatchObject({
      code: "invalid_argument",
    });
  }
});

test("the proxy port serves only proxy requests", async () => {
  const { vm } = startOutboundVm({ outbound: "all" });
  const direct = await vm.exec("curl -sS --noproxy '*' $HTTP_PROXY/");
  expect(direct.stdout).toBe("agent-vm: This is a proxy: request an absolute http:// URL");
  const program = `
    const [host, port] = process.env.HTTP_PROXY.slice(7).split(":");
    net.connect(port, host, function () { this.write("garbage\\r\\n\\r\\n"); }).pipe(process.stdout);`;
  const garbage = await vm.execArgv("node", ["-e", program]);
  expect(garbage.stdout.slice(0, 20)).toBe("HTTP/1.1 400 Bad Req");
});

test("30 VMs with a proxy leave nothing behind", { tags: ["slow"] }, async () => {
  const cycle = async () => {
    const { vm } = startOutboundVm({ outbound: "all" });
    expect((await vm.exec("curl -sS http://127.0.0.2/ --noproxy ''")).stdout).toContain(
      "need a rule with address and port",
    );
    await vm.dispose("destroy");
  };
  await cycle();
  const before = openDescriptors().length;
  for (let round = 0; round < 3; round++) await Promise.all(Array.from({ length: 10 }, cycle));
  await expect.poll(ownDescendants).toEqual([]);
  // Descriptors of earlier VMs may close in the meantime.
  await expect.poll(() => openDescriptors().length).toBeLessThanOrEqual(before);
});
