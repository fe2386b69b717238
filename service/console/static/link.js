// The symbol in the page's address, after the "#".

export const MAX_SYMBOL = 64; // characters, as in the input streams

// The symbol, null for none; ``malformed`` if the address has no valid symbol.
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

// Replace the address, so that the browser history does not grow with each symbol.
export function linkTo(symbol) {
  history.replaceState(null, "", `#${encodeURIComponent(symbol)}`);
}
