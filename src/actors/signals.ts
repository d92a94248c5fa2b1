import process from "node:process";
import { SHUTDOWN_TIMEOUT_MS } from "../api/limits.ts";
import { disposeAll } from "./instance.ts";

/**
 * Makes SIGTERM and SIGINT end every VM of this process and exit 0; a second signal exits at once with 130. RivetKit by
 * itself ignores SIGTERM in production and only stops listening in development.
 */
export function exitOnSignals(): void {
  let stopping = false;
  const stop = async (): Promise<void> => {
    if (stopping) process.exit(130);
    stopping = true;
    setTimeout(() => process.exit(1), SHUTDOWN_TIMEOUT_MS).unref();
    await disposeAll("sleep");
    process.exit(0);
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
}
