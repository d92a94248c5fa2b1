import { useMachine, useSession } from "../../state/context.ts";
import { ask } from "../../ui/dialog.tsx";
import { bytes } from "../../ui/format.ts";
import { attempt } from "../../ui/toast.tsx";
import { folderOf, joined, nameOf, type TreeRow } from "./tree.ts";

/** Time after which a download no longer needs its address. In milliseconds. */
const KEPT_MS = 60_000;

interface Props {
  row: TreeRow;
  /** Directory for what is made. */
  folder: string;
  /** @param gone path that no longer exists */
  onChanged: (gone?: string) => Promise<void>;
}

/** Path and actions of the chosen entry. */
export function FileActions({ row, folder, onChanged }: Props) {
  const { vm } = useMachine();
  const session = useSession();
  const { path, type, size } = row;
  const download = () =>
    attempt(async () => {
      if (type !== "directory") return save(nameOf(path), await vm.readFile(path));
      const archive = await vm.exportTar(path);
      save(`${nameOf(path) === "/" ? "root" : nameOf(path)}.tar`, await new Response(archive).blob());
    });
  const rename = async () => {
    const field = { label: "New name", value: nameOf(path) };
    const name = await ask({ title: `Rename ${nameOf(path)}`, yes: "Rename", field });
    if (name === undefined || name === nameOf(path)) return;
    const target = name.startsWith("/") ? name : joined(folderOf(path), name);
    if (await attempt(() => vm.move(path, target), `Renamed to ${target}`)) await onChanged(path);
  };
  const remove = async () => {
    const text = type === "directory" ? "Everything below it is deleted too." : undefined;
    const yes = await ask({
      title: `Delete ${path}`,
      ...(text && { text }),
      yes: "Delete",
      isDangerous: true,
    });
    if (yes === undefined) return;
    const recursive = type === "directory";
    if (await attempt(() => vm.delete(path, { recursive }), `Deleted ${path}`)) await onChanged(path);
  };
  const make = async (kind: "file" | "directory") => {
    const name = await ask({
      title: `New ${kind} in ${folder}`,
      yes: "Create",
      field: { label: "Name" },
    });
    if (name === undefined) return;
    const target = joined(folder, name);
    const done = await attempt(async () => {
      if (kind === "directory") return await vm.mkdir(target);
      if (await vm.exists(target)) throw new Error(`${target} exists already`);
      await vm.writeFile(target, "");
    });
    if (done) await onChanged();
  };
  return (
    <div class="bar small">
      <code class="path">{path}</code>
      <span class="hint">{type === "directory" ? "" : bytes(size)}</span>
      <span class="grow" />
      <button type="button" onClick={() => void download()}>
        Download
      </button>
      {session.may("files") && (
        <>
          <button type="button" onClick={() => void make("file")}>
            New file
          </button>
          <button type="button" onClick={() => void make("directory")}>
            New directory
          </button>
          <button type="button" onClick={() => void rename()}>
            Rename
          </button>
          <button type="button" class="danger" onClick={() => void remove()}>
            Delete
          </button>
        </>
      )}
    </div>
  );
}

/** Gives a file to the browser's downloads. Its type makes no browser open it. */
function save(name: string, content: Uint8Array | Blob): void {
  const blob = new Blob([content as BlobPart], { type: "application/octet-stream" });
  const address = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), KEPT_MS);
}
