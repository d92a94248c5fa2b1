import { createClient } from "../../src/client/index.ts";
import type { registry } from "../../src/server.ts";

/** The server that the test has started. */
export const endpoint = process.env.ENDPOINT ?? "http://127.0.0.1:6420";

export const client = createClient<typeof registry>({ endpoint });
