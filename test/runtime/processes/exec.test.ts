// @module-tag any-user
import { describe, expect, test } from "vitest";
import { onHost } from "../../support/host.ts";
import { fileVm } from "../../support/vm.ts";

const shared = fileVm();

/** Lines whose whole result must equal the result on the host. */
const LINES = [
  "echo hello",
  "echo out; echo err >&2; exit 3",
  "printf 'a\\0b' | wc -c",
  "printf 'one\\ntwo\\nthree\\n' | sort -r | head -2 | tr a-z A-Z",
  "seq 1 1000 | awk '{ sum += $1 } END { print sum }'",
  "for i in 1 2 3; do echo $i; done | while read -r n; do echo $((n * n)); done",
  "cat <<'EOF'\nhere $HOME\nEOF",
  "false || echo rescued && true",
  "exit 255",
  "(exit 7); echo $?",
  "kill -TERM $$",
  "kill -KILL $$",
  "{ sh -c 'kill -SEGV $$'; } 2>/dev/null; echo $?",
  "printf '\\xff\\xfe\\xc3\\xa9'",
  "echo $0 $#",
  "trap 'echo bye' EXIT; echo hi",
  "ulimit -c",
];

describe("exec", () => {
  test.for(LINES)("%s", async (line) => {
    const { vm } = shared();
    const [inside, host] = await Promise.all([vm.exec(line), onHost(line)]);
    const exitCode = host.signal === null ? host.exitCode : inside.exitCode;
    expect({ ...pick(inside), signal: inside.signal }).toEqual({
      exitCode,
      stdout: host.stdout,
      stderr: host.stderr,
      signal: host.signal,
    });
  });

  test("stdout and stderr can be opened by name", async () => {
    const { vm } = shared();
    const result = await vm.exec(
      "echo out > /dev/stdout; echo err > /dev/stderr; echo more >> /proc/self/fd/1",
    );
    expect(pick(result)).toEqual({ exitCode: 0, stdout: "out\nmore\n", stderr: "err\n" });
  });

  test("returns the reason of the end, CPU time and memory", async () => {
    const { vm } = shared();
    const result = await vm.exec(
      'python3 -c "x = bytearray(64 << 20)\nimport time\nt = time.process_time()\nwhile time.process_time() - t < 0.4: pass"',
    );
    expect(result).toMatchObject({
      exitCode: 0,
      signal: null,
      timedOut: false,
      reason: "exit",
      truncated: false,
    });
    // The tree's CPU is exact to a clock tick of 10 ms, and what the launcher itself takes.
    expect(result.cpuMs).toBeGreaterThanOrEqual(380);
    expect(result.cpuMs).toBeLessThanOrEqual(result.durationMs * 2 + 20);
    expect(result.maxRssBytes).toBeGreaterThan(64 << 20);
    expect(result.maxRssBytes).toBeLessThan(256 << 20);
  });

  test("a death by signal has exit code 128 + n and the signal's name", async () => {
    const { vm } = shared();
    const result = await vm.exec("kill -USR1 $$");
    expect(result).toMatchObject({ exitCode: 138, signal: "SIGUSR1", reason: "signal" });
    expect(await vm.exec("kill -ABRT $$")).toMatchObject({ exitCode: 134, signal: "SIGABRT" });
  });

  test("an exit code above 128 is not mistaken for a signal", async () => {
    const { vm } = shared();
    expect(await vm.exec("exit 137")).toMatchObject({ exitCode: 137, signal: null, reason: "exit" });
  });

  test("a missing command has exit code 127", async () => {
    const { vm } = shared();
    const result = await vm.exec("no-such-command-anywhere");
    expect(result.exitCode).toBe(127);
    expect(result.stderr).toContain("no-such-command-anywhere: command not found");
  });

  test("captureStdio: false returns no output", async () => {
    const { vm } = shared();
    const result = await vm.exec("echo out; echo err >&2; exit 4", { captureStdio: false });
    expect(pick(result)).toEqual({ exitCode: 4, stdout: "", stderr: "" });
  });
});

function pick({ exitCode, stdout, stderr }: { exitCode: number; stdout: string; stderr: string }) {
  return { exitCode, stdout, stderr };
}
