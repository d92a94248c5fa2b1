import { useEffect, useRef, useState } from "preact/hooks";
import type { PersistedSessionRecord } from "../../../client/index.ts";
import { useMachine, useSession } from "../../state/context.ts";
import { usePoll } from "../../state/use-poll.ts";
import { Empty, Failure, Form } from "../../ui/parts.tsx";
import { attempt } from "../../ui/toast.tsx";
import { ItemView } from "./item.tsx";
import { Settings } from "./settings.tsx";
import { useTranscript } from "./use-transcript.ts";

/** Parts that the page shows at first, and more with each click. */
const SHOWN = 200;
/** Pause between two looks at the state of a session. In milliseconds. */
const LOOK_MS = 2_000;

/** A transcript as people read it, with a field for the next prompt. */
export function SessionView({ record: { sessionId, closed } }: { record: PersistedSessionRecord }) {
  const { vm, isAwake } = useMachine();
  const session = useSession();
  const { items, error } = useTranscript(sessionId);
  const [shown, setShown] = useState(SHOWN);
  const { value: info } = usePoll(isAwake ? () => vm.getSession(sessionId) : undefined, LOOK_MS, sessionId);
  const box = useRef<HTMLDivElement>(null);
  const isAtEnd = useRef(true);
  // biome-ignore lint/correctness/useExhaustiveDependencies: new items move the end
  useEffect(() => {
    const element = box.current;
    if (element !== null && isAtEnd.current) element.scrollTop = element.scrollHeight;
  }, [items]);
  const isRunning = info?.status === "running";
  return (
    <>
      <Failure error={error} />
      <div
        ref={box}
        class="transcript"
        role="log"
        aria-label="Transcript"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable with the keyboard
        tabIndex={0}
        onScroll={({ currentTarget: { scrollTop, clientHeight, scrollHeight } }) => {
          isAtEnd.current = scrollTop + clientHeight >= scrollHeight - 40;
        }}
      >
        {items.length > shown && (
          <button type="button" onClick={() => setShown(shown + SHOWN)}>
            Show {Math.min(SHOWN, items.length - shown)} of {items.length - shown} earlier parts
          </button>
        )}
        {items.length === 0 && <Empty>Nothing has been said yet.</Empty>}
        {items.slice(-shown).map((item) => (
          <ItemView key={item.id} item={item} />
        ))}
        {isRunning && <p class="hint working">The agent works…</p>}
      </div>
      {session.may("sessions") && !closed && (
        <Composer sessionId={sessionId} isRunning={isRunning} queued={info?.queuedPrompts ?? 0} />
      )}
      {session.may("sessions") && closed && (
        <button type="button" onClick={() => void attempt(() => vm.resumeSession(sessionId), "Resumed")}>
          Resume the session
        </button>
      )}
    </>
  );
}

function Composer({
  sessionId,
  isRunning,
  queued,
}: {
  sessionId: string;
  isRunning: boolean;
  queued: number;
}) {
  const { vm, isAwake } = useMachine();
  const [text, setText] = useState("");
  const send = () => {
    const prompt = text.trim();
    if (prompt === "") return;
    setText("");
    // The answer comes with the events. The call ends with the agent's turn.
    void attempt(() => vm.prompt(sessionId, prompt));
  };
  return (
    <Form class="composer" onSubmit={send}>
      <textarea
        aria-label="Prompt"
        rows={3}
        placeholder={isAwake ? "Prompt (Ctrl+Enter sends)" : "Prompt (sending wakes the machine)"}
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) send();
        }}
      />
      <div class="bar small">
        {isAwake && <Settings sessionId={sessionId} />}
        <span class="grow" />
        {queued > 0 && <span class="hint">{queued} waiting</span>}
        {isRunning && (
          <button type="button" onClick={() => void attempt(() => vm.cancelPrompt(sessionId))}>
            Stop
          </button>
        )}
        <button type="submit" class="primary" disabled={text.trim() === ""}>
          Send
        </button>
      </div>
    </Form>
  );
}
