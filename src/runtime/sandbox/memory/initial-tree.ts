import { VM_MOUNTS } from "../mount-table.ts";
import type { Call } from "../posix.ts";
import type { Link, Tree } from "./tree.ts";

const DIRECTORY_MODE = 0o755;

/** Directories of the kernel sandbox that are not mounted from the host. */
const DIRECTORIES = ["home/agentos", "workspace", "root", "var", "opt", "etc", "bin"];

/** Directories with the sticky bit: everyone may write, and only owners may delete. */
const SHARED_DIRECTORIES = ["tmp", "var/tmp"];
const SHARED_MODE = 0o1777;

/** Makes the files of a new VM. */
export function makeInitialTree(tree: Tree): void {
  for (const path of DIRECTORIES) makeDirectory(tree, path, DIRECTORY_MODE);
  for (const path of SHARED_DIRECTORIES) makeDirectory(tree, path, SHARED_MODE);
  // The kernel sandbox has mounts at these paths.
  for (const path of VM_MOUNTS.paths("host", "kernel"))
    tree.mount(makeDirectory(tree, path.slice(1), DIRECTORY_MODE));
  tree.makeSymlink(makeDirectory(tree, "home", DIRECTORY_MODE), "user", "/home/agentos", callOf("home/user"));
}

function makeDirectory(tree: Tree, path: string, mode: number): Link {
  let link = tree.root;
  for (const name of path.split("/"))
    link = link.getChild(name) ?? tree.makeDirectory(link, name, mode, callOf(path));
  return link;
}

function callOf(path: string): Call {
  return { syscall: "mkdir", path: `/${path}` };
}
