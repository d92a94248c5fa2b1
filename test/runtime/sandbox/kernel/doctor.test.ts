// @module-tag any-user
import { readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { vmOptionsSchema } from "../../../../src/runtime/options.ts";
import { diagnose, formatDiagnosis } from "../../../../src/runtime/sandbox/kernel/doctor.ts";
import { KernelSandboxFactory } from "../../../../src/runtime/sandbox/kernel/factory.ts";
import { doctorAfter } from "../../../support/doctor-after.ts";
import { runProgram } from "../../../support/program.ts";
import { AGENT_VM_PROGRAM } from "../../../support/server-process.ts";

/** Returns the folders in which factories of this process keep the files that their VMs share. */
function sharedFolders(): string[] {
  const own = readdirSync(tmpdir()).filter((name) => name.startsWith(`agent-vm-${process.pid}-`));
  const inside = own.flatMap((name) => readdirSync(join(tmpdir(), name)).map((kind) => join(name, kind)));
  return inside.filter((path) => path.includes("/kind-"));
}

test("diagnose() leaves no file of its VM behind, also without the time to boot it", async () => {
  const before = sharedFolders();
  expect((await diagnose()).ok).toBe(true);
  expect(sharedFolders()).toEqual(before);
  expect((await diagnose(1)).ok).toBe(false);
  await expect.poll(sharedFolders).toEqual(before);
});

test("diagnose() passes every check on this host", async () => {
  const diagnosis = await diagnose();
  expect(diagnosis.ok).toBe(true);
  expect(diagnosis.checks.map(({ name }) => name)).toEqual([
    "Linux",
    "programs",
    "user namespaces",
    "own procfs",
    "list of children",
    "Node inside",
    "user of VMs",
    "cgroups",
    "process limit",
    "system calls",
    "shared memory",
    "watches of epoll",
    "counts of the host",
    "shared folders",
    "core dumps",
    "network",
    "a VM",
  ]);
  expect(formatDiagnosis(diagnosis)).toMatch(/ok {4}a VM +booted and ended in \d+ ms/);
});

test("a finding that is no obstacle is a warning, and the doctor counts it", async () => {
  const checks = [
    { name: "one", ok: true, detail: "d", fixes: [] },
    { name: "two", ok: true, detail: "e", fixes: ["Do it."] },
  ];
  expect(formatDiagnosis({ ok: true, checks })).toBe(
    "  ok    one  d\n  warn  two  e\n             -> Do it.",
  );
  const { code, stdout } = await runProgram([AGENT_VM_PROGRAM, "doctor"]);
  const warnings = stdout.match(/^ {2}warn {2}/gm)?.length ?? 0;
  expect(code).toBe(0);
  expect(stdout).toMatch(
    new RegExp(`\\nVMs can run here\\.${["", " 1 warning\\."][warnings] ?? ` ${warnings} warnings\\.`}\\n$`),
  );
});

test("the doctor reports disabled user namespaces", () => {
  const { status, output } = doctorAfter({ lines: ["echo 0 > /proc/sys/user/max_user_namespaces"] });
  expect(status).toBe(1);
  expect(output).toMatch(
    /FAIL {2}user namespaces +.*No space left on device\n +-> .*sysctl -w user.max_user_namespaces=\d+/,
  );
  expect(output).toContain("VMs cannot run here yet.");
});

test("diagnose() says what a VM was waited for", async () => {
  const { ok, checks } = await diagnose(1);
  expect(ok).toBe(false);
  expect(checks.at(-1)).toMatchObject({
    name: "a VM",
    detail: expect.stringMatching(/no answer (within 0.001 s|in time), waiting for \w+/),
    fixes: [expect.stringContaining("too slow or too busy")],
  });
});

test("a boot that gets too little time says for which program it has waited", async () => {
  const factory = new KernelSandboxFactory(vmOptionsSchema.parse({}));
  onTestFinished(() => factory.close());
  await factory.prepare();
  await expect(factory.boot(AbortSignal.timeout(1))).rejects.toMatchObject({
    code: "boot_failed",
    message: expect.stringMatching(/no answer in time, waiting for \w+/),
  });
});
