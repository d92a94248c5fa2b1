/// <reference types="node-pty" />
import { createRequire } from "node:module";
import type * as NodePty from "@lydell/node-pty";

// The package is installed under the alias node-pty, but its types declare it under its own name.
const nodePty = createRequire(import.meta.url)("node-pty") as typeof NodePty;

export const spawnPty = nodePty.spawn;
export type Pty = NodePty.IPty;
