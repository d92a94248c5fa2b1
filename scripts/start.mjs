/*
 * Starts the program of a clone. This file is JavaScript, because a Node before 22.18 cannot run the sources. `npm ci` installs a
 * newer Node and RivetKit as development dependencies; `npm ci --omit=dev` leaves both out.
 */
import { existsSync } from "node:fs";

const [major, minor] = process.versions.node.split(".").map(Number);
const isOld = major < 22 || (major === 22 && minor < 18);
const hasRivetKit = existsSync(new URL("../node_modules/rivetkit", import.meta.url));
if (isOld || !hasRivetKit) {
  const found = isOld ? `this is Node ${process.versions.node}` : "RivetKit is not installed";
  process.stderr.write(
    `A clone of agent-vm needs Node 22.18 and its development dependencies, but ${found}. Run \`npm ci\` without --omit=dev.\n`,
  );
  process.exit(1);
}
await import("../src/cli/main.ts");
