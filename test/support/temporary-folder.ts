import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, onTestFinished } from "vitest";

/** A folder that is gone after the test file; to be called outside of tests. */
export function temporaryFolder(): string {
  return made(afterAll);
}

/** A folder that is gone after the test; to be called in one. */
export function testFolder(): string {
  return made(onTestFinished);
}

/** A folder for the data of a server in this process: it is gone with the process, until which RivetKit writes there. */
export function dataFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "agent-vm-test-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function made(atEnd: (remove: () => void) => void): string {
  const folder = mkdtempSync(join(tmpdir(), "agent-vm-test-"));
  atEnd(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
