import { useEffect, useRef, useState } from "preact/hooks";
import type { ShellInfo } from "../../client/index.ts";
import { Screen } from "../../element/screen.ts";
import { useMachine } from "../state/context.ts";
import { usePoll } from "../state/use-poll.ts";
import { ask } from "../ui/dialog.tsx";
import { Empty, Failure } from "../ui/parts.tsx";
import { attempt, tellError } from "../ui/toast.tsx";

/** Pause between two looks at the open shells, which other clients may open too. In milliseconds. */
const LOOK_MS = 4_000;
/** Longest title that a program may give a tab. */
const MAX_TITLE = 40;

const keptName = (key: readonly string[]) => `shell:${key.join("/")}`;

/** Terminals in tabs. They are the machine's own shells: they outlive the page, and several people may watch one. */
export default function TerminalPage() {
  const { vm, key } = useMachine();
  const { value: shells, error, refresh, act } = usePoll(() => vm.listShells(), LOOK_MS, key.join("/"));
  const [chosen, setChosen] = useState(() => sessionStorage.getItem(keptName(key)) ?? undefined);
  const [titles, setTitles] = useState<Readonly<Record<string, string>>>({});
  const running = shells?.filter((shell) => shell.running || shell.shellId === chosen) ?? [];
  const current = running.find(({ shellId }) => shellId === chosen) ?? running[0];
  const nameOf = (shell: ShellInfo) => {
    const program = shell.command.slice(shell.command.lastIndexOf("/") + 1);
    return titles[shell.shellId] ?? `${program} ${(shells?.indexOf(shell) ?? 0) + 1}`;
  };
  const choose = (shellId: string) => {
    sessionStorage.setItem(keptName(key), shellId);
    setChosen(shellId);
  };
  const open = () =>
    act(async () => {
      const { shellId } = await vm.openShell();
      choose(shellId);
    });
  const close = async ({ shellId, running: isRunning }: ShellInfo) => {
    const yes = isRunning
      ? await ask({ title: "Close the terminal", text: "Its shell and programs end.", yes: "Close" })
      : "";
    if (yes === undefined) return;
    await act(() => vm.closeShell(shellId));
    setChosen(undefined);
  };
  return (
    <div class="terminal-page">
      <div class="bar small">
        <div class="tabs inner" role="tablist" aria-label="Terminals">
          {running.map((shell) => (
            <span class="closable" key={shell.shellId}>
              <button
                type="button"
                role="tab"
                aria-selected={shell === current}
                onClick={() => choose(shell.shellId)}
              >
                {nameOf(shell)} {shell.running ? "" : "(ended)"}
              </button>
              <button
                type="button"
                class="quiet"
                aria-label={`Close ${nameOf(shell)}`}
                onClick={() => void close(shell)}
              >
                ×
              </button>
            </span>
          ))}
        </div>
        <button type="button" onClick={() => void open()}>
          New terminal
        </button>
      </div>
      <Failure error={error} />
      {current === undefined ? (
        <Empty>
          {shells === undefined ? (
            "…"
          ) : (
            <button type="button" class="primary" onClick={() => void open()}>
              Open a terminal
            </button>
          )}
        </Empty>
      ) : (
        <Shell
          key={current.shellId}
          shellId={current.shellId}
          onTitle={(title) => setTitles((all) => ({ ...all, [current.shellId]: title.slice(0, MAX_TITLE) }))}
          onExit={refresh}
        />
      )}
    </div>
  );
}

function Shell({
  shellId,
  onTitle,
  onExit,
}: {
  shellId: string;
  onTitle: (title: string) => void;
  onExit: () => void;
}) {
  const { vm } = useMachine();
  const box = useRef<HTMLDivElement>(null);
  const screen = useRef<Screen>(undefined);
  const [isSearching, setIsSearching] = useState(false);
  // biome-ignore lint/correctness/useExhaustiveDependencies: one screen for each shell
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const made = new Screen(element, {
      onTitle,
      onExit,
      onError: tellError,
      onFind: () => setIsSearching(true),
    });
    screen.current = made;
    made.attach(vm, { shellId });
    made.focus();
    return () => made.dispose();
  }, [vm, shellId]);
  const paste = () =>
    attempt(async () => {
      screen.current?.paste(await navigator.clipboard.readText());
      screen.current?.focus();
    });
  const copy = () =>
    attempt(async () => {
      const text = screen.current?.selection ?? "";
      if (text !== "") await navigator.clipboard.writeText(text);
    }, "Copied");
  return (
    <>
      <div class="bar small">
        <button type="button" onClick={() => void copy()} title="Ctrl+Shift+C">
          Copy
        </button>
        <button type="button" onClick={() => void paste()} title="Ctrl+Shift+V">
          Paste
        </button>
        <button type="button" aria-pressed={isSearching} onClick={() => setIsSearching(!isSearching)}>
          Search
        </button>
        {isSearching && (
          <input
            type="search"
            aria-label="Search the terminal"
            // biome-ignore lint/a11y/noAutofocus: the user has just asked for the field
            autoFocus
            onInput={(event) => screen.current?.find(event.currentTarget.value, "next", true)}
            onKeyDown={(event) => {
              if (event.key === "Enter")
                screen.current?.find(event.currentTarget.value, event.shiftKey ? "previous" : "next");
              if (event.key !== "Escape") return;
              setIsSearching(false);
              screen.current?.focus();
            }}
          />
        )}
      </div>
      <div ref={box} class="term" />
    </>
  );
}
