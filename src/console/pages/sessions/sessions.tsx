import { useState } from "preact/hooks";
import { useMachine, useSession } from "../../state/context.ts";
import { ASLEEP_MS, usePoll } from "../../state/use-poll.ts";
import { ask, Dialog } from "../../ui/dialog.tsx";
import { ago } from "../../ui/format.ts";
import { Empty, Failure } from "../../ui/parts.tsx";
import { NewSession } from "./new-session.tsx";
import { SessionView } from "./session-view.tsx";

/** Pause between two looks at the sessions of a machine that is awake. In milliseconds. */
const LOOK_MS = 4_000;

/** The sessions with coding agents, and the transcript of one. Reading them boots nothing. */
export default function SessionsPage() {
  const { vm, key, isAwake } = useMachine();
  const session = useSession();
  const {
    value: sessions,
    error,
    refresh,
    act,
  } = usePoll(() => vm.listPersistedSessions(), isAwake ? LOOK_MS : ASLEEP_MS, key.join("/"));
  const [chosen, setChosen] = useState<string>();
  const [isNew, setIsNew] = useState(false);
  const current = sessions?.find(({ sessionId }) => sessionId === chosen) ?? sessions?.at(-1);
  const mayPrompt = session.may("sessions");
  const close = async (sessionId: string) => {
    if (
      (await ask({
        title: "Close the session",
        text: "Its agent ends. The transcript stays.",
        yes: "Close",
      })) === undefined
    )
      return;
    await act(() => vm.closeSession(sessionId));
  };
  const destroy = async (sessionId: string) => {
    const text = "Its agent ends, and its transcript is deleted.";
    if ((await ask({ title: "Delete the session", text, yes: "Delete", isDangerous: true })) === undefined)
      return;
    await act(() => vm.destroySession(sessionId));
    setChosen(undefined);
  };
  return (
    <div class="stack">
      <div class="bar small">
        {current && (
          <select
            aria-label="Session"
            value={current.sessionId}
            onChange={(event) => setChosen(event.currentTarget.value)}
          >
            {sessions?.toReversed().map(({ sessionId, agentType, createdAt, closed }) => (
              <option key={sessionId} value={sessionId}>
                {agentType} · {ago(createdAt)} {closed ? "· closed" : ""} · {sessionId.slice(0, 8)}
              </option>
            ))}
          </select>
        )}
        <span class="grow" />
        {mayPrompt && current && !current.closed && (
          <button type="button" onClick={() => void close(current.sessionId)}>
            Close
          </button>
        )}
        {mayPrompt && current && (
          <button type="button" class="danger" onClick={() => void destroy(current.sessionId)}>
            Delete
          </button>
        )}
        {mayPrompt && (
          <button type="button" class="primary" onClick={() => setIsNew(true)}>
            New session
          </button>
        )}
      </div>
      <Failure error={error} />
      {current === undefined ? (
        <Empty>{sessions === undefined ? "…" : "There is no session yet."}</Empty>
      ) : (
        <SessionView key={current.sessionId} record={current} />
      )}
      {isNew && (
        <Dialog title="New session" onClose={() => setIsNew(false)}>
          <NewSession
            onDone={(sessionId) => {
              setIsNew(false);
              if (sessionId !== undefined) setChosen(sessionId);
              refresh();
            }}
          />
        </Dialog>
      )}
    </div>
  );
}
