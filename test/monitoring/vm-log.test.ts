import { expect, test } from "vitest";
import { createLogger, withSafeErrors } from "../../src/http/logger.ts";
import { Monitor } from "../../src/monitoring/monitor.ts";

function watch() {
  const lines: Record<string, unknown>[] = [];
  const logger = createLogger("info", { write: (line) => void lines.push(JSON.parse(line)) });
  return { vm: new Monitor(withSafeErrors(logger)).vm("vm", ["team", "one"]), lines };
}

test("each event of a VM is one line with its key, and frequent events are one line together", () => {
  const { vm, lines } = watch();
  const call = { who: { kind: "server" }, method: "exec", names: [], args: [], ms: 1 } as const;
  const limited = { code: "limit_exceeded", metadata: { limit: "MAX_CALLS" } };
  vm.report({ kind: "booted", ms: 41.2 });
  vm.report({ kind: "outOfMemory", kills: 2 });
  for (let each = 0; each < 1000; each++) {
    vm.report({ kind: "denied" });
    vm.report({ kind: "slowStorage", ms: 2000 });
    vm.report({ kind: "commandEnded", ms: 1, reason: "exit" });
    vm.called({ ...call, error: limited });
    vm.called({ ...call, error: undefined });
  }
  vm.report({ kind: "down", reason: "error", ms: 3, awakeMs: 1000 });
  vm.report({ kind: "down", reason: "sleep", ms: 3, awakeMs: 1000 });
  vm.end();
  const named = { actor: "vm", vm: ["team", "one"] };
  expect(lines).toMatchObject([
    { ...named, level: 30, msg: "VM booted", ms: 41 },
    { ...named, level: 40, msg: "the kernel killed processes at the memory limit", kills: 2 },
    { ...named, level: 40, msg: "VM crashed", reason: "error", awakeMs: 1000 },
    { ...named, level: 30, msg: "VM is down", reason: "sleep" },
    { ...named, level: 30, msg: "outbound connections were denied", count: 1000 },
    { ...named, level: 30, msg: "limit reached", limit: "MAX_CALLS", count: 1000 },
    { ...named, level: 40, msg: "storage is slow", count: 1000 },
  ]);
});

test("a boot that fails is a line with its error, a stack and the VM", () => {
  const { vm, lines } = watch();
  vm.report({ kind: "bootFailed", ms: 2, error: new Error("no namespaces") });
  const err = { message: "no namespaces", stack: expect.stringMatching(/\n {4}at /) };
  expect(lines).toMatchObject([{ level: 50, vm: ["team", "one"], err, msg: "VM did not boot" }]);
});
