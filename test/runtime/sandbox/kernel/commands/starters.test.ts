// @module-tag any-user
import { describe, expect, test } from "vitest";
import { isRoot } from "../../../../support/host.ts";
import { living } from "../../../../support/living.ts";
import { startVm } from "../../../../support/vm.ts";

/** Until bash has used 300 ms of CPU, as its own clock tells. */
const BURN =
  "while :; do for i in {1..2000}; do :; done; read -r _ _ _ _ _ _ _ _ _ _ _ _ _ user _ < /proc/self/stat; ((user >= 30)) && break; done";

describe("a command", () => {
  test("has its output, exit code and signal", async () => {
    const { vm } = startVm();
    expect(await vm.exec("echo out; echo err >&2; exit 3")).toMatchObject({
      exitCode: 3,
      stdout: "out\n",
      stderr: "err\n",
      signal: null,
      reason: "exit",
    });
    expect(await vm.exec("kill -TERM $$")).toMatchObject({
      exitCode: 143,
      signal: "SIGTERM",
      reason: "signal",
    });
  });

  test("gets stdin, env, cwd and arguments", async () => {
    const { vm } = startVm();
    const env = { A: "one\ntwo'\"$" };
    const { stdout } = await vm.execArgv("sh", ["-c", 'cat; pwd; printf "%s|" "$A" "$@"', "sh", "", "x y"], {
      stdin: "in\n",
      env,
      cwd: "/workspace",
    });
    expect(stdout).toBe("in\n/workspace\none\ntwo'\"$||x y|");
  });
});

describe("more commands", { tags: ["slow"] }, () => {
  test("a cwd that is missing, a command that is not there", async () => {
    const { vm } = startVm();
    await expect(vm.exec("true", { cwd: "/nowhere" })).rejects.toMatchObject({ code: "ENOENT" });
    const missing = await vm.execArgv("no-such-program");
    expect(missing.exitCode).toBe(127);
    expect(missing.stderr).toBe("no-such-program: not found\n");
    expect((await vm.execArgv("/no/such-program")).stderr).toBe("/no/such-program: not found\n");
  });

  test("a session and default signal handling of its own", async () => {
    const { vm } = startVm();
    const { stdout } = await vm.exec(
      "ps -o pid=,sid=,pgid= -p $$; grep -E '^Sig(Blk|Ign)' /proc/self/status; kill -l 2 >/dev/null",
    );
    const lines = stdout.split("\n");
    expect(lines[1]).toMatch(/^SigBlk:\t0+$/);
    expect(lines[2]).toMatch(/^SigIgn:\t0+$/);
  });

  test("stdin and stdout can be opened by name, though their other end has gone", async () => {
    const { vm } = startVm();
    expect((await vm.exec("sleep 0.1; cat /dev/stdin > /dev/stdout", { stdin: "late" })).stdout).toBe("late");
  });

  test("stopProcess ends its children, and { tree: true } its daemons", async () => {
    const { vm, outputHas } = startVm();
    const { pid } = await vm.spawn("bash", [
      "-c",
      "sleep 1001 & setsid -f sh -c 'echo ready; exec sleep 1002'; wait",
    ]);
    await outputHas(pid, "ready");
    const sleeps = async () =>
      living(await vm.allProcesses()).filter(({ command }) => command === "sleep").length;
    await vm.stopProcess(pid);
    await vm.waitProcess(pid);
    await expect.poll(sleeps).toBe(1);
    await vm.killProcess(pid, { tree: true });
    expect(await sleeps()).toBe(0);
  });

  test("a timeout ends daemons too", async () => {
    const { vm } = startVm();
    const result = await vm.exec("setsid -f env -i sleep 1001; (setsid sleep 1002 &) ; sleep 1003", {
      timeout: 400,
    });
    expect(result).toMatchObject({ timedOut: true, signal: "SIGKILL" });
    expect(living(await vm.allProcesses()).filter(({ command }) => command === "sleep")).toEqual([]);
  });

  test("usage is the command's own, not that of the boot or of a shell before it", async () => {
    const { vm } = startVm();
    const { shellId } = await vm.openShell({ command: "bash", args: ["-c", BURN] });
    await vm.waitShell(shellId);
    const idle = await vm.exec("true");
    // The shell has used at least 300 ms.
    expect(idle.cpuMs).toBeLessThan(300);
    expect(idle.maxRssBytes).toBeGreaterThan(100_000);
    expect((await vm.exec(BURN)).cpuMs).toBeGreaterThan(200);
  });

  test("a stopped command can be woken, killed and disposed of", async () => {
    const { vm } = startVm();
    const state = async (pid: number) =>
      (await vm.allProcesses()).find((process) => process.pid === pid)?.state;
    const [first, second, third] = await Promise.all(
      ["3", "1001", "1002"].map((time) => vm.spawnProcess("sleep", [time])),
    );
    for (const pid of [first, second, third] as number[]) await vm.signalProcess(pid, "SIGSTOP");
    await expect.poll(() => state(first as number)).toBe("T");
    await vm.signalProcess(first as number, "SIGCONT");
    expect(await vm.waitProcess(first as number)).toBe(0);
    await vm.killProcess(second as number);
    expect(await vm.waitProcess(second as number)).toBe(137);
    await vm.dispose("destroy");
    expect(await vm.waitProcess(third as number)).toBe(137);
  });

  test("a command's CPU time and memory are measured", async () => {
    const { vm } = startVm();
    const result = await vm.exec(
      "python3 -c 'import time; x = bytearray(64 << 20); t = time.process_time()\nwhile time.process_time() - t < 0.4: pass'",
    );
    expect(result.cpuMs).toBeGreaterThanOrEqual(350);
    expect(result.cpuMs).toBeLessThanOrEqual(result.durationMs * 2 + 20);
    expect(result.maxRssBytes).toBeGreaterThan(64 << 20);
    expect(result.maxRssBytes).toBeLessThan(256 << 20);
  });

  test("what starts the commands may be killed from inside: the next command runs", async () => {
    const { vm, event } = startVm();
    const pid = await vm.spawnProcess("sleep", ["1000"]);
    await vm.exec("kill -KILL -1");
    expect(await event("processExit")).toMatchObject({ pid, exitCode: 137, signal: "SIGKILL" });
    for (let round = 0; round < 5; round++)
      expect((await vm.exec(`echo ${round}`)).stdout).toBe(`${round}\n`);
  });

  test("two hundred at once", async () => {
    const { vm } = startVm();
    const results = await Promise.all(Array.from({ length: 200 }, (_, index) => vm.exec(`echo ${index}`)));
    expect(results.map(({ stdout }) => stdout)).toEqual(
      Array.from({ length: 200 }, (_, index) => `${index}\n`),
    );
  });
});

test.runIf(isRoot)(
  "under a root server the spawner cannot be traced or looked into from inside",
  async () => {
    const { vm } = startVm();
    const spawner = await spawnerPid(vm);
    const { stdout, stderr } = await vm.exec(
      `ls /proc/${spawner}/fd; cat /proc/${spawner}/environ; cat /proc/${spawner}/mem`,
    );
    expect(stdout).toBe("");
    expect(stderr.match(/Permission denied/g)?.length).toBe(3);
  },
);

async function spawnerPid(vm: ReturnType<typeof startVm>["vm"]): Promise<number> {
  await vm.exec("true");
  const found = (await vm.allProcesses()).find(({ args }) => args[0]?.startsWith("agentos-spawner"));
  if (found === undefined) throw new Error("no spawner among the VM's processes");
  return found.pid;
}
