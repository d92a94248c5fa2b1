import { unsupported } from "./supported.ts";

/*
 * Refuses to load the server where it cannot run. Modules that begin with this import fail here and not in a dependency,
 * whose error names no remedy.
 */
const reason = unsupported(process.versions);
if (reason !== undefined) throw new Error(reason);
