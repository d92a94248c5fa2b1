import process from "node:process";
import { AgentVmError } from "../../api/errors.ts";
import type { SessionEvent } from "../../api/methods/session-event.ts";
import type {
  CreateSessionOptions,
  PermissionPolicy,
  SequencedSessionEvent,
  TranscriptFormat,
} from "../../api/methods/session-types.ts";
import type { VmHandle } from "../../client/types.ts";
import type { Cli } from "../cli.ts";
import { shownTime } from "../shown.ts";
import { briefly } from "./session-text.ts";

export interface SessionOptions {
  agent: string;
  cwd?: string;
  env?: Record<string, string>;
  instructions?: string;
  permissions?: PermissionPolicy;
}

/** Events that one request asks for. */
const PAGE = 1000;

/** Opens a session, and prints its id. */
export async function startSession(cli: Cli, key: string, options: SessionOptions): Promise<void> {
  const record = await (await cli.vm(key)).createSession(options.agent, createOptions(options));
  await cli.out.value(record, record.sessionId);
}

export function createOptions({
  cwd,
  env,
  instructions,
  permissions,
}: Partial<SessionOptions>): CreateSessionOptions {
  return { cwd, env, additionalInstructions: instructions, permissionPolicy: permissions };
}

export async function listSessions(cli: Cli, key: string): Promise<void> {
  await cli.out.table(await (await cli.vm(key)).listPersistedSessions(), [
    { title: "SESSION", of: ({ sessionId }) => sessionId },
    { title: "AGENT", of: ({ agentType }) => agentType },
    { title: "STATE", of: ({ closed }) => (closed ? "closed" : "open") },
    { title: "CREATED", of: ({ createdAt }) => shownTime(createdAt) },
  ]);
}

export async function listAgents(cli: Cli, key: string): Promise<void> {
  await cli.out.table(await (await cli.vm(key)).listAgents(), [
    { title: "AGENT", of: ({ id }) => id },
    { title: "NAME", of: ({ title }) => title },
    { title: "VERSION", of: ({ version }) => version },
    { title: "INSTALLED", of: ({ installed, reason }) => (installed ? "yes" : (reason ?? "no")) },
  ]);
}

/** Prints the transcript of a session, page by page. */
export async function history(
  cli: Cli,
  key: string,
  session: string | undefined,
  { since = -1 }: { since?: number },
): Promise<void> {
  const vm = await cli.vm(key);
  const sessionId = session ?? (await newestSession(vm));
  const writer = new TranscriptWriter(cli);
  for await (const { sequenceNumber, notification } of eventsAfter(vm, sessionId, since))
    await writer.add(sequenceNumber, notification);
  await writer.end();
}

/** Reads the events of a transcript after an event, by default all of them. */
export async function* eventsAfter(
  vm: Pick<VmHandle, "getSequencedEvents">,
  sessionId: string,
  after = -1,
): AsyncGenerator<SequencedSessionEvent> {
  for (let since: number | undefined = after; since !== undefined; ) {
    const events: SequencedSessionEvent[] = await vm.getSequencedEvents(sessionId, { since, limit: PAGE });
    yield* events;
    since = events.at(-1)?.sequenceNumber;
  }
}

/** Prints the transcript of a session as a document, part by part. */
export async function exportSession(
  cli: Cli,
  key: string,
  session: string | undefined,
  { format }: { format: TranscriptFormat },
): Promise<void> {
  const vm = await cli.vm(key);
  const sessionId = session ?? (await newestSession(vm));
  const form = cli.out.json ? "json" : format;
  for (let after = -1, end = false; !end; ) {
    const part = await vm.readTranscript(sessionId, { format: form, after });
    await cli.out.raw(part.data);
    [after, end] = [part.last, part.end];
  }
}

/** Prints a transcript as a conversation. Pieces of one speaker become one text. */
class TranscriptWriter {
  readonly #cli: Cli;
  #speaker: string | undefined;
  #endsLine = true;

  constructor(cli: Cli) {
    this.#cli = cli;
  }

  async add(sequenceNumber: number, event: SessionEvent): Promise<void> {
    if (this.#cli.out.json) return await this.#cli.out.value({ sequenceNumber, event }, "");
    const brief = briefly(event);
    if (brief === undefined) return;
    const { speaker, text } = brief;
    const isNew = speaker !== this.#speaker || speaker === "*";
    if (isNew) await this.end();
    const mark = isNew ? { user: "> ", agent: "", thought: "~ ", "*": "* " }[speaker] : "";
    await this.#cli.out.raw(mark + text);
    this.#speaker = speaker;
    this.#endsLine = text.endsWith("\n");
  }

  async end(): Promise<void> {
    if (!this.#endsLine) await this.#cli.out.raw("\n");
    this.#endsLine = true;
    this.#speaker = undefined;
  }
}

/** @throws AgentVmError `session_not_found` */
export async function newestSession(vm: VmHandle): Promise<string> {
  const newest = (await vm.listPersistedSessions()).at(-1);
  if (newest === undefined) throw new AgentVmError("session_not_found", "The VM has no session");
  return newest.sessionId;
}

export async function closeSessions(cli: Cli, key: string, ids: string[]): Promise<void> {
  const vm = await cli.vm(key);
  for (const id of ids) await vm.closeSession(id);
  await cli.out.value({ closed: ids }, "");
}

export async function deleteSessions(cli: Cli, key: string, ids: string[]): Promise<void> {
  const vm = await cli.vm(key);
  for (const id of ids) await vm.destroySession(id);
  await cli.out.value({ deleted: ids }, "");
}

/** Asks the agent to end its turn. Exits 1 if no prompt was running. */
export async function cancelPrompts(cli: Cli, key: string, id: string): Promise<void> {
  const { result } = await (await cli.vm(key)).cancelSession(id);
  const { cancelled = false } = (result ?? {}) as { cancelled?: boolean };
  await cli.out.value({ cancelled }, "");
  if (!cancelled) process.exitCode = 1;
}
