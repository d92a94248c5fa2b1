import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

interface Props<Item> {
  items: readonly Item[];
  /** Height of each row, in CSS pixels. */
  rowHeight: number;
  render: (item: Item, index: number) => ComponentChildren;
  keyOf: (item: Item, index: number) => string | number;
  label: string;
  /** Role of the list; its rows have the role that fits. @default "list" */
  role?: "list" | "tree" | "log";
  /** Keeps the end in view while items are added, as long as the reader is there. */
  follows?: boolean;
  class?: string;
  onKeyDown?: (event: KeyboardEvent) => void;
}

/** Rows above and below the view that are drawn too. */
const MARGIN = 8;
const ROW_ROLES = { list: "listitem", tree: "presentation", log: "presentation" } as const;

/** A list that draws only the rows in view, so that its length costs nothing. */
export function VirtualList<Item>({
  items,
  rowHeight,
  render,
  keyOf,
  label,
  role = "list",
  follows = false,
  class: className = "",
  onKeyDown,
}: Props<Item>) {
  const box = useRef<HTMLDivElement>(null);
  const isAtEnd = useRef(true);
  const [view, setView] = useState({ top: 0, height: 600 });
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const read = () => {
      isAtEnd.current = element.scrollTop + element.clientHeight >= element.scrollHeight - rowHeight;
      setView({ top: element.scrollTop, height: element.clientHeight });
    };
    const sizes = new ResizeObserver(read);
    sizes.observe(element);
    element.addEventListener("scroll", read, { passive: true });
    return () => {
      sizes.disconnect();
      element.removeEventListener("scroll", read);
    };
  }, [rowHeight]);
  const count = items.length;
  useLayoutEffect(() => {
    const element = box.current;
    if (follows && isAtEnd.current && element !== null && count > 0) element.scrollTop = element.scrollHeight;
  }, [count, follows]);
  const first = Math.max(0, Math.floor(view.top / rowHeight) - MARGIN);
  const last = Math.min(count, Math.ceil((view.top + view.height) / rowHeight) + MARGIN);
  return (
    // biome-ignore lint/a11y/useAriaPropsSupportedByRole: every role of a list takes a label
    // biome-ignore lint/a11y/noStaticElementInteractions: the role of a tree is interactive
    <div
      ref={box}
      class={`virtual ${className}`}
      role={role}
      aria-label={label}
      tabIndex={0}
      onKeyDown={onKeyDown}
    >
      <div role="presentation" style={{ height: `${count * rowHeight}px`, position: "relative" }}>
        {items.slice(first, last).map((item, offset) => (
          <div
            key={keyOf(item, first + offset)}
            role={ROW_ROLES[role]}
            class="virtual-row"
            style={{ height: `${rowHeight}px`, transform: `translateY(${(first + offset) * rowHeight}px)` }}
          >
            {render(item, first + offset)}
          </div>
        ))}
      </div>
    </div>
  );
}
