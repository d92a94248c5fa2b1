#!/usr/bin/env node
import process from "node:process";
import { unsupported } from "../base/supported.ts";

// An older Node fails in a dependency with an error that names no remedy. This file itself loads on Node 18.
const reason = unsupported(process.versions);
if (reason !== undefined) {
  process.stderr.write(`${reason}\n`);
  process.exit(1);
}

const { runProgram } = await import("./program.ts");
await runProgram();
