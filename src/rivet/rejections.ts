import type { Logger } from "pino";

/** Rejections of RivetKit's, by a line of their stacks. */
const RIVETKITS = /\b_?(FileSystemGlobalState|ActorInstance)\./;

let rivetLog: Pick<Logger, "error"> | undefined;

/**
 * Logs promises that are rejected without a handler.
 *
 * For RivetKit 2.2, which does not handle all of its rejections. Node would end the process, and with it every VM.
 */
export function logRejections(logger: Pick<Logger, "error">): void {
  process.on("unhandledRejection", (error) => logger.error({ msg: "unhandled rejection", err: error }));
}

/**
 * Logs such promises of RivetKit alone, in a program of the server's own. Its other ones end the process as before.
 *
 * RivetKit handles no failure of an actor's sleep: a full disk, or an actor whose start has failed.
 */
export function logRivetRejections(logger: Pick<Logger, "error">): void {
  if (rivetLog === undefined) process.on("unhandledRejection", onRejection);
  rivetLog = logger;
}

function onRejection(error: unknown): void {
  const isRivets = error instanceof Error && RIVETKITS.test(error.stack ?? "");
  if (process.listenerCount("unhandledRejection") > 1) return;
  if (!isRivets) throw error;
  rivetLog?.error({ msg: "unhandled rejection", err: error });
}
