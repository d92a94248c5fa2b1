import { lazy, Suspense } from "preact/compat";
import { useEffect, useState } from "preact/hooks";
import { textOrBytes } from "../../../base/bytes.ts";
import { useMachine, useSession } from "../../state/context.ts";
import { bytes } from "../../ui/format.ts";
import { Empty, Failure } from "../../ui/parts.tsx";

const Editor = lazy(() => import("./editor.tsx"));

/** Largest file that the page opens by itself. */
const MAX_BYTES = 8_000_000;
/** Largest text that the editor takes. */
const MAX_TEXT = 2_000_000;

/** Types that a browser draws without running anything of theirs. */
const IMAGES: Readonly<Record<string, string>> = {
  png: "image/png",
  jpg: "image/jpeg",
  jpeg: "image/jpeg",
  gif: "image/gif",
  webp: "image/webp",
  avif: "image/avif",
  bmp: "image/bmp",
  ico: "image/x-icon",
  // In an <img> an SVG runs no script and loads nothing.
  svg: "image/svg+xml",
};

/** Shows a file: as an image, as a PDF, or as text in the editor. */
export function Preview({ path, size }: { path: string; size: number }) {
  const { vm } = useMachine();
  const session = useSession();
  const [content, setContent] = useState<Uint8Array>();
  const [error, setError] = useState<Error>();
  const [wantsAll, setWantsAll] = useState(false);
  const [found, setFound] = useState(size);
  const isLarge = found > MAX_BYTES && !wantsAll;
  useEffect(() => {
    if (isLarge) return;
    const stop = new AbortController();
    const read = async () => {
      // The size in the tree is that of a link itself.
      const real = (await vm.stat(path)).size;
      if (stop.signal.aborted) return;
      setFound(real);
      if (real <= MAX_BYTES || wantsAll) setContent(await vm.readFile(path, { signal: stop.signal }));
    };
    read().catch((failure: Error) => {
      if (!stop.signal.aborted) setError(failure);
    });
    return () => stop.abort();
  }, [vm, path, isLarge, wantsAll]);
  if (error !== undefined) return <Failure error={error} />;
  if (isLarge)
    return (
      <Empty>
        <p>The file has {bytes(found)}.</p>
        <button type="button" onClick={() => setWantsAll(true)}>
          Load it
        </button>
      </Empty>
    );
  if (content === undefined) return <Empty>…</Empty>;
  const extension = path.slice(path.lastIndexOf(".") + 1).toLowerCase();
  const image = IMAGES[extension];
  if (image !== undefined && content.length > 0) return <Shown content={content} type={image} name={path} />;
  if (startsWith(content, "%PDF-")) return <Shown content={content} type="application/pdf" name={path} />;
  const text = content.length <= MAX_TEXT ? textOf(content) : undefined;
  if (text === undefined) return <Bytes content={content} />;
  return (
    <Suspense fallback={<Empty>…</Empty>}>
      <Editor
        path={path}
        text={text}
        isReadOnly={!session.may("files")}
        save={(next) => vm.writeFile(path, next)}
      />
    </Suspense>
  );
}

function Shown({ content, type, name }: { content: Uint8Array; type: string; name: string }) {
  const [address, setAddress] = useState<string>();
  useEffect(() => {
    const made = URL.createObjectURL(new Blob([content as BlobPart], { type }));
    setAddress(made);
    return () => URL.revokeObjectURL(made);
  }, [content, type]);
  if (address === undefined) return null;
  return type === "application/pdf" ? (
    <iframe class="pdf" src={`${address}#navpanes=0&view=FitH`} title={name} />
  ) : (
    <div class="picture">
      <img src={address} alt={name} />
    </div>
  );
}

/** Shows the first bytes of a binary file as hexdump does. */
function Bytes({ content }: { content: Uint8Array }) {
  const lines: string[] = [];
  for (let at = 0; at < Math.min(content.length, 4096); at += 16) {
    const row = [...content.slice(at, at + 16)];
    const hex = row.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const text = row.map((byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : ".")).join("");
    lines.push(`${at.toString(16).padStart(8, "0")}  ${hex.padEnd(48)} ${text}`);
  }
  return (
    <div class="scroll">
      <p class="hint">Not a text of moderate size. The first {Math.min(content.length, 4096)} bytes:</p>
      <pre>{lines.join("\n")}</pre>
    </div>
  );
}

function startsWith(content: Uint8Array, text: string): boolean {
  return [...text].every((character, at) => content[at] === character.charCodeAt(0));
}

function textOf(content: Uint8Array): string | undefined {
  const text = content.includes(0) ? content : textOrBytes(content);
  return typeof text === "string" ? text : undefined;
}
