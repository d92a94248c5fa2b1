import { useMachine, useSession } from "../state/context.ts";
import { ASLEEP_MS, usePoll } from "../state/use-poll.ts";
import { ask } from "../ui/dialog.tsx";
import { ago } from "../ui/format.ts";
import { Empty } from "../ui/parts.tsx";

/** Pause between two looks at ports and previews. In milliseconds. */
const LOOK_MS = 4_000;
/** Life of a preview that the console opens. @unit seconds */
const LIFE_SECONDS = 3_600;

/** Ports that listen, and the preview URLs that open them to a browser. */
export function Previews() {
  const { vm, key, isAwake } = useMachine();
  const session = useSession();
  const look = async () => {
    const previews = await vm.listPreviews();
    // Only a machine that is awake has ports, and asking for them would boot a machine that sleeps.
    // The list of machines is older: a machine that has just fallen asleep must not boot.
    const hasPorts = isAwake && (await vm.status()).state !== "sleeping";
    return { previews, ports: hasPorts ? await vm.listPorts() : [] };
  };
  const { value, act } = usePoll(look, isAwake ? LOOK_MS : ASLEEP_MS, `${key.join("/")} ${isAwake}`);
  const open = async (port: number) => {
    // The tab is made within the click, or the browser would block it.
    const tab = window.open("about:blank", "_blank");
    const done = await act(async () => {
      const { url } = await vm.createSignedPreviewUrl(port, LIFE_SECONDS);
      if (tab === null) throw new Error(`The browser blocked the tab. Open ${url}`);
      tab.opener = null;
      tab.location.href = url;
    });
    if (!done) tab?.close();
  };
  const openOther = async () => {
    const port = await ask({
      title: "Open a preview",
      yes: "Open",
      field: { label: "Port", placeholder: "3000" },
    });
    if (port !== undefined) await open(Number(port));
  };
  const revoke = (id: string) => act(() => vm.expireSignedPreviewUrl(id), "Revoked");
  const mayOpen = session.may("network");
  return (
    <section class="card">
      <div class="bar small">
        <h2>Ports and previews</h2>
        <span class="grow" />
        {mayOpen && (
          <button type="button" onClick={() => void openOther()}>
            Open a port
          </button>
        )}
      </div>
      <ul class="plain">
        {value?.ports.map(({ port, address, command, pid }) => (
          <li class="row" key={`${port} ${address}`}>
            <strong>{port}</strong>
            <span class="name hint">
              {address} · {command ?? "unknown program"} {pid === null ? "" : `(${pid})`}
            </span>
            {mayOpen && (
              <button type="button" onClick={() => void open(port)}>
                Open preview
              </button>
            )}
          </li>
        ))}
        {value?.previews.map(({ id, port, createdAt, expiresAt }) => (
          <li class="row" key={id}>
            <span class="badge">preview</span>
            <span class="name">
              port {port}, made {ago(createdAt)}, ends {ago(expiresAt)}
            </span>
            {mayOpen && (
              <button type="button" class="danger" onClick={() => void revoke(id)}>
                Revoke
              </button>
            )}
          </li>
        ))}
      </ul>
      {value?.ports.length === 0 && value.previews.length === 0 && <Empty>No port listens.</Empty>}
    </section>
  );
}
