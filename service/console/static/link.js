// The symbol that the page's address names after its "#".

export const MAX_SYMBOL = 64; // characters, as on the wire

// The symbol, null for none; ``malformed`` where what is there can be no symbol.
export function linked() {
  const hash = location.hash.slice(1);
  try {
    const symbol = decodeURIComponent(hash);
    const malformed = [...symbol].length > MAX_SYMBOL;
    return { symbol: symbol && !malformed ? symbol : null, malformed };
  } catch {
    return { symbol: null, malformed: true };
  }
}

// Not one more page to go back through for every symbol that is looked at.
export function linkTo(symbol) {
  history.replaceState(null, "", `#${encodeURIComponent(symbol)}`);
}
