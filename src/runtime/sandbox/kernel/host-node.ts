import { existsSync, realpathSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { NODE_FOLDER, VM_NODE } from "../sandbox.ts";
import type { HostMount } from "./layout.ts";
import { findTool } from "./tools.ts";

/** The server's own Node as a VM sees it. */
export interface HostNode {
  mounts: HostMount[];
  /** Links in the VM's `/opt/agentos/bin`. */
  links: { name: string; target: string }[];
  /** `false` where the host has no npm to share. */
  hasNpm: boolean;
}

// Laid out as Node's own archive, so that `npm install --global` inside lands in the VM's PATH.
const NPM_FOLDER = `${NODE_FOLDER}/lib/node_modules/npm`;

/** The server's Node, and the npm that belongs to it or else the host's. */
export function findHostNode(): HostNode {
  const node = realpathSync(process.execPath);
  const mounts: HostMount[] = [{ source: node, target: VM_NODE }];
  const links: HostNode["links"] = [];
  const npm = findNpm(node);
  if (npm !== undefined) {
    mounts.push({ source: npm, target: NPM_FOLDER });
    links.push({ name: "npm", target: `${NPM_FOLDER}/bin/npm-cli.js` });
    links.push({ name: "npx", target: `${NPM_FOLDER}/bin/npx-cli.js` });
  }
  return { mounts, links, hasNpm: npm !== undefined };
}

/** Folder of the npm package. */
function findNpm(node: string): string | undefined {
  const besideNode = join(dirname(node), "..", "lib", "node_modules", "npm");
  const inPath = findTool("npm");
  const candidates = [
    // Set by npm itself for the scripts it runs, `npm start` among them.
    process.env.npm_execpath,
    join(besideNode, "bin", "npm-cli.js"),
    inPath === undefined ? undefined : realpathSync(inPath),
  ];
  for (const candidate of candidates) {
    if (candidate === undefined || basename(candidate) !== "npm-cli.js" || !existsSync(candidate)) continue;
    return realpathSync(join(dirname(candidate), ".."));
  }
  return undefined;
}
