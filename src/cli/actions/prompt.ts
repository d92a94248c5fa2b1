import process from "node:process";
import { createInterface } from "node:readline/promises";
import { styleText } from "node:util";
import { AgentVmError } from "../../api/errors.ts";
import type { PermissionRequestPayload } from "../../api/events.ts";
import type { SessionEvent } from "../../api/methods/session-event.ts";
import type { PromptResult } from "../../api/methods/session-types.ts";
import type { VmConnection } from "../../client/types.ts";
import type { Cli } from "../cli.ts";
import { EXIT, UsageError } from "../exit-codes.ts";
import { choose } from "../terminal/ask.ts";
import { onSignals } from "../terminal/interrupts.ts";
import { hasPerson, readStdin } from "../terminal/streams.ts";
import { briefly } from "./session-text.ts";
import { createOptions, newestSession, type SessionOptions } from "./sessions.ts";

interface PromptOptions extends Partial<SessionOptions> {
  session?: string;
  answer?: "once" | "always" | "reject";
}

/**
 * Sends a prompt and streams the answer. The text of the agent goes to stdout, its work to a terminal's stderr. Without a text
 * it reads prompts line by line on a terminal, and all of stdin in a script.
 */
export async function prompt(cli: Cli, key: string, words: string[], options: PromptOptions): Promise<void> {
  const vm = await cli.vm(key);
  const { agent } = options;
  if (agent !== undefined && options.session !== undefined)
    throw new UsageError("Pass --agent or --session, not both");
  const text = words.length > 0 ? words.join(" ") : process.stdin.isTTY ? undefined : await stdinText();
  if (text?.trim() === "") throw new UsageError("The prompt is empty");
  const sessionId =
    agent === undefined
      ? (options.session ?? (await newestSession(vm)))
      : (await vm.createSession(agent, createOptions(options))).sessionId;
  if (agent !== undefined) cli.out.note(`Session ${sessionId}`);
  const talk = new Talk(cli, vm.connect(), sessionId, options.answer);
  if (text !== undefined) process.exitCode = await talk.ask(text);
  else await chat(talk);
}

async function stdinText(): Promise<string> {
  return new TextDecoder().decode(await readStdin()).replace(/\n+$/, "");
}

/** Reads prompts until the end of input. */
async function chat(talk: Talk): Promise<void> {
  for (;;) {
    const lines = createInterface({ input: process.stdin, output: process.stderr });
    const ended = new Promise<undefined>((resolve) => void lines.once("close", () => resolve(undefined)));
    const text = await Promise.race([lines.question("> ").catch(() => undefined), ended]);
    // A question about a permission reads from the terminal too.
    lines.close();
    if (text === undefined) return;
    if (text.trim() !== "") await talk.ask(text);
  }
}

/** A conversation with an agent on a terminal or in a pipe. */
class Talk {
  readonly #cli: Cli;
  readonly #connection: VmConnection;
  readonly #sessionId: string;
  #endsLine = true;
  /** Questions, one after the other. */
  #questions: Promise<void> = Promise.resolve();

  constructor(cli: Cli, connection: VmConnection, sessionId: string, answer: PromptOptions["answer"]) {
    this.#cli = cli;
    this.#connection = connection;
    this.#sessionId = sessionId;
    connection.on("sessionEvent", ({ sessionId: id, event, sequenceNumber }) => {
      if (id === sessionId) this.#show(event, sequenceNumber);
    });
    // The agent waits for an answer as long as somebody listens. Without a person it is refused at once.
    if (answer === undefined && (!hasPerson() || cli.out.json)) return;
    connection.on("permissionRequest", (request) => {
      if (request.sessionId !== sessionId) return;
      this.#questions = this.#questions.then(() => this.#decide(request, answer)).catch(() => undefined);
    });
  }

  /** Sends a prompt. Ctrl-C asks the agent to end its turn. @returns the exit code */
  async ask(text: string): Promise<number> {
    let isCancelled = false;
    const stop = onSignals(() => {
      isCancelled = true;
      void this.#connection.cancelPrompt(this.#sessionId).catch(() => undefined);
    });
    try {
      const result = await this.#connection.prompt(this.#sessionId, text);
      await this.#finish(result);
      return isCancelled ? EXIT.interrupted : 0;
    } finally {
      stop();
    }
  }

  async #finish({ response, text }: PromptResult): Promise<void> {
    if (this.#cli.out.json) await this.#cli.out.value({ response, text }, "");
    else if (!this.#endsLine) await this.#cli.out.raw("\n");
    this.#endsLine = true;
    const { error } = response;
    if (error !== undefined) throw new AgentVmError("agent_error", error.message);
    const { stopReason } = (response.result ?? {}) as { stopReason?: unknown };
    if (stopReason !== "end_turn") this.#cli.out.note(`The turn ended: ${String(stopReason)}`);
  }

  #show(event: SessionEvent, sequenceNumber: number): void {
    if (this.#cli.out.json) return void this.#cli.out.value({ sequenceNumber, event }, "");
    const brief = briefly(event);
    if (brief === undefined || brief.speaker === "user") return;
    if (brief.speaker === "agent") {
      void this.#cli.out.raw(brief.text);
      this.#endsLine = brief.text.endsWith("\n");
    } else if (process.stderr.isTTY) {
      this.#breakLine();
      const mark = brief.speaker === "thought" ? "~" : "*";
      process.stderr.write(
        `${styleText("dim", `${mark} ${brief.text.trimEnd()}`, { stream: process.stderr })}\n`,
      );
    }
  }

  #breakLine(): void {
    if (!this.#endsLine && process.stdout.isTTY) process.stdout.write("\n");
    this.#endsLine = true;
  }

  async #decide({ request }: PermissionRequestPayload, answer: PromptOptions["answer"]): Promise<void> {
    const reply = answer ?? (await this.#askPerson(request));
    await this.#connection.respondPermission(this.#sessionId, request.permissionId, reply);
  }

  async #askPerson({ description, params }: PermissionRequestPayload["request"]): Promise<string> {
    this.#breakLine();
    const { options } = (params ?? {}) as { options?: { optionId?: unknown; name?: unknown }[] };
    const offered = (Array.isArray(options) ? options : []).map(({ optionId, name }) => ({
      value: String(optionId),
      label: String(name ?? optionId),
    }));
    const choices =
      offered.length > 0
        ? offered
        : [
            { value: "once", label: "Allow once" },
            { value: "reject", label: "Reject" },
          ];
    return (await choose(description ?? "The agent asks for a permission", choices)) ?? "reject";
  }
}
