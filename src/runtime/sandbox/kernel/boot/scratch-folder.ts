import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { processStartTime } from "../procfs/procfs.ts";

const PREFIX = "agent-vm-";

/**
 * The server's own scratch folder: plans and mount points of boots, and files that VMs see. Others may pass through but not
 * list it. Made with the first sandbox and removed when the process exits.
 */
let folder: string | undefined;

function workspaceFolder(): string {
  if (folder !== undefined) return folder;
  dropStaleFolders();
  const made = mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-${processStartTime(process.pid)}-`));
  chmodSync(made, 0o711);
  process.once("exit", () => dropFolder(made));
  folder = made;
  return made;
}

/** A new folder in the workspace. */
export function workspaceSubfolder(name: string): string {
  const path = join(workspaceFolder(), name);
  mkdirSync(path, { recursive: true, mode: 0o755 });
  return path;
}

/** A server that was killed could not remove its own. */
function dropStaleFolders(): void {
  for (const name of readdirSync(tmpdir())) {
    const match = /^agent-vm-(\d+)-(\d+)-/.exec(name);
    if (match === null || processStartTime(Number(match[1])) === Number(match[2])) continue;
    dropFolder(join(tmpdir(), name));
  }
}

function dropFolder(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch {
    // Another user's, theirs to remove; or this process is out of descriptors at its end, and the next server does it.
  }
}
