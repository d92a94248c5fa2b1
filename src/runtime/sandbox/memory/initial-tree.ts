import type { Call } from "../posix.ts";
import type { Link, Tree } from "./tree.ts";

const DIRECTORY_MODE = 0o755;

/** The kernel sandbox's tree without what the host lends it. */
const DIRECTORIES = ["home/agentos", "workspace", "root", "var", "opt", "etc", "bin"];

/** Everyone may write and only owners may delete. */
const SHARED_DIRECTORIES = ["tmp"];
const SHARED_MODE = 0o1777;

/** Where the kernel sandbox has mounts: nothing is ever written there. */
const MOUNT_POINTS = ["usr", "dev", "proc", "sys"];

/** What a fresh VM holds. */
export function plantInitialTree(tree: Tree): void {
  for (const path of DIRECTORIES) plant(tree, path, DIRECTORY_MODE);
  for (const path of SHARED_DIRECTORIES) plant(tree, path, SHARED_MODE);
  for (const path of MOUNT_POINTS) tree.mount(plant(tree, path, DIRECTORY_MODE));
  tree.makeSymlink(plant(tree, "home", DIRECTORY_MODE), "user", "/home/agentos", callOf("home/user"));
}

function plant(tree: Tree, path: string, mode: number): Link {
  let link = tree.root;
  for (const name of path.split("/"))
    link = link.getChild(name) ?? tree.makeDirectory(link, name, mode, callOf(path));
  return link;
}

function callOf(path: string): Call {
  return { syscall: "mkdir", path: `/${path}` };
}
