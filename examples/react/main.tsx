/** @jsxImportSource react */

/*
 * A page with a terminal, the ports of a machine and an agent's transcript. Start the server with `npm start`, then run
 * `npx vite examples/react`. The page asks for `?server=URL&token=TOKEN&vm=KEY`; a backend gives a page its token.
 */
import { AgentVmProvider, useEvent, useSession, useTerminal, useVm } from "agent-vm/react";
import { useEffect, useRef, useState } from "react";
import { createRoot } from "react-dom/client";
import "agent-vm/terminal-element";

const query = new URLSearchParams(location.search);
const options = {
  endpoint: query.get("server") ?? "http://localhost:6420",
  ...(query.has("token") && { token: query.get("token") as string }),
};
const key = query.get("vm") ?? "react";

/** The whole terminal, with the web component. */
function Shell() {
  const vm = useVm(key, { create: true });
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = document.createElement("agent-vm-terminal");
    element.vm = vm;
    place.current?.append(element);
    return () => element.remove();
  }, [vm]);
  return <div ref={place} />;
}

/** One program on a terminal, with the hook alone. */
function Uname() {
  const vm = useVm(key, { create: true });
  const [text, setText] = useState("");
  const { state, exitCode } = useTerminal(vm, {
    command: "uname",
    onData: (bytes) => setText((known) => known + new TextDecoder().decode(bytes)),
  });
  return (
    <p>
      uname: {text} ({state === "exited" ? `exited with ${exitCode}` : state})
    </p>
  );
}

function Ports() {
  const vm = useVm(key, { create: true });
  const [ports, setPorts] = useState<number[]>([]);
  useEvent(vm, "portOpened", ({ port }) => setPorts((all) => [...all, port]));
  useEvent(vm, "portClosed", ({ port }) => setPorts((all) => all.filter((open) => open !== port)));
  return <p>ports: {ports.length === 0 ? "none" : ports.join(", ")}</p>;
}

function Transcript({ sessionId }: { sessionId: string }) {
  const vm = useVm(key, { create: true });
  const { events, permissions, info, prompt, respond } = useSession(vm, sessionId);
  return (
    <section>
      <p>
        {info?.status}, {events.length} events
      </p>
      <button type="button" onClick={() => void prompt("say hello")}>
        Say hello
      </button>
      {permissions.map(({ permissionId, description }) => (
        <button type="button" key={permissionId} onClick={() => void respond(permissionId, "once")}>
          Allow {description}
        </button>
      ))}
    </section>
  );
}

createRoot(document.getElementById("root") as HTMLElement).render(
  <AgentVmProvider options={options}>
    <Ports />
    <Uname />
    {query.has("session") && <Transcript sessionId={query.get("session") as string} />}
    <Shell />
  </AgentVmProvider>,
);
