import { useCallback, useEffect, useState } from "react";
import type {
  PermissionReply,
  PermissionRequest,
  PromptResult,
  SequencedSessionEvent,
  SessionInfo,
  VmConnection,
  VmHandle,
} from "../client/index.ts";
import { borrow } from "./connections.ts";

/** Events of one request. */
const PAGE = 500;

/** Pause between two looks at the state of a session whose agent works, in milliseconds. */
const LOOK_MS = 1_000;

/** A session of a component. */
export interface UsedSession {
  /** The transcript, in the order of its numbers, without gaps. */
  events: readonly SequencedSessionEvent[];
  /** Permission requests that wait for an answer. */
  permissions: readonly PermissionRequest[];
  /** State of the session; `undefined` before the first answer. */
  info: SessionInfo | undefined;
  /** Why the transcript could not be read; `undefined` after a success. */
  error: Error | undefined;
  /** Sends a prompt. Resolves when the agent has ended its turn. */
  prompt(text: string): Promise<PromptResult>;
  /** Asks the agent to end its turn. */
  cancel(): Promise<void>;
  /** Answers a permission request. */
  respond(permissionId: string, reply: PermissionReply): Promise<void>;
}

interface State {
  events: readonly SequencedSessionEvent[];
  info: SessionInfo | undefined;
  error: Error | undefined;
}

const NOTHING: State = { events: [], info: undefined, error: undefined };

/**
 * Follows a session with a coding agent: the stored events, and then each event as it comes.
 *
 * @param vm handle of `useVm`; `undefined` waits
 * @param sessionId id of the session; `undefined` waits
 */
export function useSession(vm: VmHandle | undefined, sessionId: string | undefined): UsedSession {
  const [state, setState] = useState(NOTHING);
  useEffect(() => {
    setState(NOTHING);
    if (vm === undefined || sessionId === undefined) return;
    return follow(vm, sessionId, setState);
  }, [vm, sessionId]);
  const prompt = useCallback((text: string) => needed(vm).prompt(sessionId ?? "", text), [vm, sessionId]);
  const cancel = useCallback(
    async () => void (await needed(vm).cancelPrompt(sessionId ?? "")),
    [vm, sessionId],
  );
  const respond = useCallback(
    async (permissionId: string, reply: PermissionReply) =>
      void (await needed(vm).respondPermission(sessionId ?? "", permissionId, reply)),
    [vm, sessionId],
  );
  return { ...state, permissions: state.info?.pendingPermissions ?? [], prompt, cancel, respond };
}

/** @returns a function that ends it */
function follow(
  vm: VmHandle,
  sessionId: string,
  change: (next: (known: State) => State) => void,
): () => void {
  const { connection, giveBack } = borrow(vm);
  const reader = new Reader(connection, sessionId, change);
  const stops = [
    connection.on("sessionEvent", (event) => event.sessionId === sessionId && reader.more()),
    connection.on("permissionRequest", (event) => event.sessionId === sessionId && reader.more()),
    connection.onOpen(() => reader.more()),
  ];
  return () => {
    reader.end();
    for (const stop of stops) stop();
    giveBack();
  };
}

/** Reads a transcript up to its end, one request at a time, and again if there is more meanwhile. */
class Reader {
  readonly #connection: VmConnection;
  readonly #sessionId: string;
  readonly #change: (next: (known: State) => State) => void;
  #last = -1;
  #isReading = false;
  #hasMore = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  isOver = false;

  constructor(connection: VmConnection, sessionId: string, change: (next: (known: State) => State) => void) {
    this.#connection = connection;
    this.#sessionId = sessionId;
    this.#change = change;
  }

  end(): void {
    this.isOver = true;
    clearTimeout(this.#timer);
  }

  more(): void {
    this.#hasMore = true;
    if (!this.#isReading) void this.#read();
  }

  async #read(): Promise<void> {
    this.#isReading = true;
    try {
      while (this.#hasMore && !this.isOver) {
        this.#hasMore = false;
        const found = await this.#connection.getSequencedEvents(this.#sessionId, {
          since: this.#last,
          limit: PAGE,
        });
        this.#last = found.at(-1)?.sequenceNumber ?? this.#last;
        if (found.length === PAGE) this.#hasMore = true;
        const info = await this.#connection.getSession(this.#sessionId);
        // The end of a turn has no event.
        clearTimeout(this.#timer);
        if (info.status === "running" && !this.isOver) this.#timer = setTimeout(() => this.more(), LOOK_MS);
        if (!this.isOver)
          this.#change(({ events }) => ({ events: [...events, ...found], info, error: undefined }));
      }
    } catch (error) {
      if (!this.isOver) this.#change((known) => ({ ...known, error: error as Error }));
    }
    this.#isReading = false;
  }
}

function needed(vm: VmHandle | undefined): VmHandle {
  if (vm === undefined) throw new Error("useSession has no VM yet");
  return vm;
}
