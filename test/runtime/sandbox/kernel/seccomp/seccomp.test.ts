// @module-tag any-user
// @module-tag attack
import { describe, expect, test } from "vitest";
import type { SeccompPolicy } from "../../../../../src/runtime/sandbox/kernel/seccomp/filter.ts";
import { seccompSupport } from "../../../../../src/runtime/sandbox/kernel/seccomp/support.ts";
import { findTool } from "../../../../../src/runtime/sandbox/kernel/tools.ts";
import {
  type FilteredArch,
  type FilteredCall,
  FORBIDDEN_CALLS,
  numberOf,
} from "../../../../../src/runtime/sandbox/system-calls.ts";
import { DOCKER_DENIED, UNIMPLEMENTED } from "../../../../support/docker-profile.ts";
import { startVm, type TestVm } from "../../../../support/vm.ts";

const filtered = seccompSupport("default").filter !== "";
const arch = process.arch as FilteredArch;

/** Makes one system call with small numbers as arguments, each in a process of its own, and prints what it says. */
const PROBE = `
for (@ARGV) {
  my ($name, @call) = split /,/;
  my @numbers = map { hex } @call;
  my $pid = fork // die;
  if ($pid == 0) {
    my $result = syscall(shift @numbers, @numbers);
    syswrite(STDOUT, "$name " . ($result < 0 ? $! + 0 : 'done') . "\\n");
    exit 0;
  }
  waitpid($pid, 0);
  print "$name signal " . ($? & 127) . "\\n" if $? & 127;
}`;

type Call = readonly [name: string, call: number, ...args: number[]];

/** @returns errno, `"done"` or the signal of each call */
async function probe(vm: TestVm["vm"], calls: readonly Call[]): Promise<Record<string, string>> {
  const words = calls.map(([name, ...numbers]) =>
    [name, ...numbers.map((value) => value.toString(16))].join(","),
  );
  const { stdout, stderr } = await vm.execArgv("perl", ["-e", PROBE, "--", ...words]);
  expect(stderr).toBe("");
  return Object.fromEntries(
    stdout
      .trim()
      .split("\n")
      .map((line) => line.split(/ (.*)/).slice(0, 2)),
  );
}

const call = (name: FilteredCall, ...args: number[]): Call => [name, numberOf(name, arch) as number, ...args];

describe.runIf(filtered)("the filter of system calls", () => {
  test("refuses each forbidden call, from a program and from a shell on a terminal", async () => {
    const { vm, screenHas } = startVm();
    const calls = FORBIDDEN_CALLS.filter((name) => numberOf(name, arch) !== undefined).map((name) =>
      call(name),
    );
    const answers = await probe(vm, calls);
    expect(Object.keys(answers).length).toBe(calls.length);
    expect(Object.entries(answers).filter(([, answer]) => answer !== "1")).toEqual([]);
    const { shellId } = await vm.openShell({ command: "grep", args: ["^Seccomp:", "/proc/self/status"] });
    expect(await screenHas(shellId, /Seccomp:\t\d/)).toMatch(/Seccomp:\t2/);
  });

  test("refuses each call that Docker's default profile denies, by its number on this architecture", async () => {
    const { vm } = startVm();
    const denied = DOCKER_DENIED.flatMap(([name, x64, arm64]): Call[] => {
      const number = arch === "x64" ? x64 : arm64;
      return number === null ? [] : [[name, number]];
    });
    const answers = await probe(vm, denied);
    expect(answers).toEqual(Object.fromEntries(denied.map(([name]) => [name, "1"])));
  });

  test.runIf(arch === "x64")("leaves calls that the kernel of x64 does not implement to it", async () => {
    const { vm } = startVm();
    const unimplemented = await probe(vm, UNIMPLEMENTED);
    expect(unimplemented).toEqual(Object.fromEntries(UNIMPLEMENTED.map(([name]) => [name, "38"])));
  });

  test("is on everything that runs inside, init and the spawner included", async () => {
    const { vm } = startVm();
    await vm.openShell();
    await vm.spawnProcess("sleep", ["1000"]);
    const { stdout } = await vm.exec("cat /proc/[0-9]*/status | grep '^Seccomp:' | sort | uniq -c");
    expect(stdout).toMatch(/^ *\d+ Seccomp:\t2\n$/);
    expect(Number(stdout.trim().split(" ")[0])).toBeGreaterThanOrEqual(6);
  });

  test("refuses clone with namespaces, clone3, x32, TIOCSTI, and sockets of other families", async () => {
    const { vm } = startVm();
    const [VSOCK, ALG, PACKET, TIPC] = [40, 38, 17, 30];
    const answers = await probe(vm, [
      call("clone", 0x10000011, 0, 0, 0, 0),
      call("clone3", 0, 0),
      ["x32", 0x40000000 + 39],
      ["too_new", 600],
      ["tiocsti", ...call("ioctl", 0, 0x5412, 0).slice(1)] as unknown as Call,
      ...[VSOCK, ALG, PACKET, TIPC].map(
        (family) => [`socket-${family}`, ...call("socket", family, 1, 0).slice(1)] as unknown as Call,
      ),
      ["sctp", ...call("socket", 2, 1, 132).slice(1)] as unknown as Call,
      ["diag", ...call("socket", 16, 3, 4).slice(1)] as unknown as Call,
      ["tcp", ...call("socket", 2, 1, 6).slice(1)] as unknown as Call,
      ["routes", ...call("socket", 16, 3, 0).slice(1)] as unknown as Call,
    ]);
    expect(answers).toEqual({
      clone: "1",
      clone3: "38",
      x32: "38",
      too_new: "38",
      tiocsti: "1",
      "socket-40": "97",
      "socket-38": "97",
      "socket-17": "97",
      "socket-30": "97",
      sctp: "93",
      diag: "93",
      tcp: "done",
      routes: "done",
    });
  });

  test("the option allows calls by name, or all", async () => {
    const answer = async (seccomp: SeccompPolicy) => {
      const { vm } = startVm({ seccomp: seccomp as "default" });
      const answers = await probe(vm, [call("io_uring_setup", 0, 0), call("memfd_secret", 0xffff)]);
      return [answers.io_uring_setup, answers.memfd_secret];
    };
    const [EPERM, EFAULT_OR_OFF] = ["1", expect.stringMatching(/^(14|1|22|38)$/)];
    expect(await answer("default")).toEqual([EPERM, EPERM]);
    expect((await answer({ allow: ["memfd_secret"] }))[1]).not.toBe(EPERM);
    expect(await answer("none")).toEqual([EFAULT_OR_OFF, expect.not.stringMatching(/^1$/)]);
  });
});

/** Each line prints "ok" if the program works. */
const PROGRAMS: readonly [needs: string, line: string][] = [
  [
    "node",
    `node -e 'const { Worker } = require("node:worker_threads"); new Worker("require(\\"node:worker_threads\\").parentPort.postMessage(\\"ok\\")", { eval: true }).on("message", console.log)'`,
  ],
  [
    "node",
    `node -e 'require("node:net").createServer().listen(0, "127.0.0.1", function () { console.log("ok"); this.close(); })'`,
  ],
  ["node", `node -p 'require("node:os").networkInterfaces().lo.length > 0 && "ok"'`],
  ["node", `node -e 'require("node:child_process").exec("echo ok", (_, out) => console.log(out.trim()))'`],
  [
    "git",
    "cd /tmp && git init -q r && cd r && git -c user.name=a -c user.email=b commit -q --allow-empty -m ok && git log --format=%s",
  ],
  ["gcc", `cd /tmp && echo 'int main(){return 7;}' > p.c && gcc p.c -o p; ./p; [ $? = 7 ] && echo ok`],
  [
    "python3",
    `python3 -c 'import threading as t, subprocess as s; x = t.Thread(target=lambda: print(s.check_output(["echo", "ok"]).decode().strip())); x.start(); x.join()'`,
  ],
  [
    "python3",
    `python3 -c 'import multiprocessing as m; p = m.Pool(2); print("ok" if p.map(abs, [-1]) == [1] else "no")'`,
  ],
  ["script", "script -qec 'test -t 1 && echo ok' /dev/null < /dev/null | tr -d '\\r'"],
  ["bash", "bash -ic 'sleep 0.05 & jobs -p > /dev/null; wait %1 && echo ok' 2> /dev/null"],
  [
    "gdb",
    "gdb -nx -batch -ex run -ex 'print $_exitcode' --args /usr/bin/true 2>&1 | grep -q '= 0' && echo ok",
  ],
  ["strace", "strace -f -o /tmp/trace sh -c 'true & wait' && grep -q exit_group /tmp/trace && echo ok"],
  ["setarch", "setarch -R true && echo ok"],
  ["ip", "ip -o link show lo | grep -q LOOPBACK && echo ok"],
  ["bash", "ulimit -c 0; ulimit -n 100; [ $(ulimit -n) = 100 ] && echo ok"],
];

test.each(PROGRAMS.filter(([needs]) => needs === "node" || findTool(needs)))(
  "lets %s work: %s",
  async (_, line) => {
    const { vm } = startVm();
    const result = await vm.exec(line, { timeout: 60_000 });
    expect(`${result.stdout}${result.stderr}`).toBe("ok\n");
  },
);
