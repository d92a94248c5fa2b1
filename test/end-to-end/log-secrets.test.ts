import { expect } from "vitest";
import { testRows } from "../support/rows.ts";
import { startTestServer } from "../support/servers.ts";

const SECRET = "s3cr3t";
const BYTES = 4 * 1024 * 1024;

testRows<[string]>([["trace"], ["debug"], ["info"], ["warn"], ["error"]], 1)(
  "the log has no argument, path, content, variable, token or header at level %s",
  async (level) => {
    const token = `${SECRET}-token`;
    const server = await startTestServer({
      kind: "kernel",
      process: true,
      env: { AGENT_VM_TOKEN: token, AGENT_VM_LOG_LEVEL: level, AGENT_VM_RIVETKIT_LOG_LEVEL: level },
    });
    const client = server.client({ token });
    const vm = client.vm.getOrCreate("one");
    const connection = vm.connect();
    const env = { KEY: SECRET };
    await vm.exec(`echo ${SECRET}`, { env, stdin: SECRET });
    await connection.execArgv("echo", [SECRET], { env });
    await vm.writeFile(`/workspace/${SECRET}`, SECRET.repeat(BYTES / SECRET.length));
    await vm.readFile(`/workspace/${SECRET}`);
    await vm.setLabels({ label: SECRET });
    await vm.setSecrets({ KEY: { value: SECRET, hosts: ["api.test"] } });
    await vm.setSecrets({ KEY: SECRET as never }).catch(() => undefined);
    const { pid } = await connection.spawn("sh", ["-c", `cat; echo ${SECRET}`], { env });
    await connection.writeProcessStdin(pid, SECRET);
    await connection.closeProcessStdin(pid);
    await connection.waitProcess(pid);
    await Promise.allSettled([
      vm.scheduleCron({ schedule: "0 0 1 1 *", action: { type: "exec", command: SECRET } }),
      vm.readFile(`/${SECRET}`),
      connection.readFile(`/${SECRET}`),
      vm.exec(SECRET, { cwd: `/${SECRET}` }),
      vm.exec("true", { [SECRET]: SECRET } as object),
      connection.openShell({ command: `/${SECRET}` }),
      vm.vmFetch(1, `/${SECRET}`, { headers: { "x-key": SECRET } }),
      server
        .client({ token: `${token}-wrong` })
        .vm.getOrCreate(SECRET)
        .exec(SECRET),
      server
        .client({ token: `${token}-wrong` })
        .vm.getOrCreate("two")
        .connect()
        .exec(SECRET),
    ]);
    await vm.fork("copy").catch(() => undefined);
    await fetch(`${server.endpoint}/gateway/x@${token}/action/${SECRET}`, { method: "POST", body: SECRET });
    await fetch(`${server.endpoint}/${SECRET}`, { headers: { cookie: SECRET } });
    // The VM ends with a call under way.
    const running = connection.exec(`sleep 1000; echo ${SECRET}`).catch(() => undefined);
    await vm.destroy();
    await running;
    expect(await server.stop("SIGTERM")).toBe(0);
    const log = server.stderr();
    expect(log).not.toContain(SECRET);
    expect(log).not.toContain(Buffer.from(SECRET).toString("base64").slice(0, 6));
    expect(log.length).toBeLessThan(BYTES / 4);
    const lines = log.split("\n").filter(Boolean);
    for (const line of lines.map((each) => JSON.parse(each))) {
      if (line.level < 50) continue;
      expect(line).toMatchObject({
        err: { message: expect.any(String), stack: expect.stringMatching(/ at /) },
      });
    }
    if (["trace", "debug", "info"].includes(level)) {
      const texts = lines.map((each) => JSON.parse(each).msg);
      expect(texts).toEqual(expect.arrayContaining(["server listens", "VM booted", "server shuts down"]));
    }
  },
);
