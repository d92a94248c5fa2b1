import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { diagnose, formatDiagnosis } from "../../../../src/runtime/sandbox/kernel/doctor.ts";

const ROOT = join(import.meta.dirname, "../../../..");
const DOCTOR = `cd '${ROOT}' && exec '${process.execPath}' src/doctor.ts`;

/** Runs the doctor where something has been taken away first. */
function doctorAfter(...lines: string[]): { status: number | null; output: string } {
  const script = [...lines, DOCTOR].join("\n");
  const { status, stdout, stderr } = spawnSync(
    "unshare",
    ["--user", "--map-root-user", "--mount", "bash", "-ec", script],
    {
      encoding: "utf8",
    },
  );
  return { status, output: `${stdout}${stderr}` };
}

test("here VMs can run, and the table says so", async () => {
  const diagnosis = await diagnose();
  expect(diagnosis.ok).toBe(true);
  expect(diagnosis.checks.map(({ name }) => name)).toEqual([
    "Linux",
    "programs",
    "versions",
    "user namespaces",
    "own procfs",
    "list of children",
    "loopback",
    "Node inside",
    "cgroups",
    "a VM",
  ]);
  expect(formatDiagnosis(diagnosis)).toMatch(/ok {4}a VM +booted and ended in \d+ ms/);
});

test("user namespaces switched off", () => {
  const { status, output } = doctorAfter("echo 0 > /proc/sys/user/max_user_namespaces");
  expect(status).toBe(1);
  expect(output).toMatch(
    /FAIL {2}user namespaces +.*No space left on device\n +-> sysctl -w user.max_user_namespaces=\d+/,
  );
  expect(output).toContain("VMs cannot run here yet.");
});

test("a /proc that is partly covered, as containers have it", () => {
  const { status, output } = doctorAfter("mount -t tmpfs none /proc/sys");
  expect(status).toBe(1);
  expect(output).toMatch(/FAIL {2}own procfs +.*\n +-> .*systempaths=unconfined/);
});

test("a program that is missing", () => {
  const { status, output } = doctorAfter(
    "for path in /usr/bin/script /bin/script; do mount --bind /etc/passwd $path 2>/dev/null || true; done",
  );
  expect(status).toBe(1);
  expect(output).toMatch(/FAIL {2}programs +missing: script\n +-> Install/);
});
