import process from "node:process";
import type { Logger } from "pino";

/**
 * Logs promises that are rejected without a handler.
 *
 * For RivetKit 2.2, which does not handle all of its rejections. Node would end the process, and with it every VM.
 */
export function logRejections(logger: Pick<Logger, "error">): void {
  process.on("unhandledRejection", (error) => logger.error({ msg: "unhandled rejection", err: error }));
}
