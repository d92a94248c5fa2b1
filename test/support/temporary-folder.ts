import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";

/** A folder that is gone after the test file; to be called outside of tests. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "agent-vm-test-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
