import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join, relative } from "node:path";
import { afterEach, beforeEach } from "vitest";
import type { RootedFileSystem } from "../../../../../src/runtime/sandbox/kernel/files/rooted-filesystem.ts";
import { makeTree, openRoot, scratchFolder } from "../../../filesystem/file-systems.ts";

export const SECRET = "a secret of the host";

/** A VM's root, and beside it a folder of the host that no access may reach. */
export interface Scratch {
  /** Path of the VM's root on the host. */
  readonly root: string;
  /** A folder of the host with the file `secret` and the folder `folder`. */
  readonly outside: string;
  /** Relative path from a file in the root to the outside folder, with more `..` than needed. */
  readonly wayOut: string;
  readonly fs: RootedFileSystem;
}

/** Makes a new scratch for each test. */
export function useScratch(): Scratch {
  let base: string;
  let fs: RootedFileSystem;
  const scratch = {
    get root() {
      return join(base, "root");
    },
    get outside() {
      return join(base, "outside");
    },
    get wayOut() {
      return join("../".repeat(20), relative("/", join(base, "outside")));
    },
    get fs() {
      return fs;
    },
  };
  beforeEach(() => {
    base = scratchFolder();
    chmodSync(base, 0o755);
    mkdirSync(join(base, "root"));
    mkdirSync(join(base, "outside/folder"), { recursive: true });
    writeFileSync(join(base, "outside/secret"), SECRET);
    makeTree(join(base, "root"));
    fs = openRoot(join(base, "root"));
  });
  afterEach(async () => {
    await fs.close();
    rmSync(base, { recursive: true, force: true });
  });
  return scratch;
}

/** Lists paths and contents of the outside folder, for a comparison before and after. */
export function snapshotOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      if (entry.isSymbolicLink()) return `${path} -> ${readlinkSync(path)}`;
      return entry.isFile() ? `${path}: ${readFileSync(path, "utf8")}` : path;
    })
    .sort();
}
