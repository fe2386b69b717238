"""What was assumed of positions and prices, in words."""

ASSUMPTIONS = {
    "linear_contract": "unstated contracts are linear",
    "impacts_of_all_symbols_are_high_together": "the impacts of all symbols are high together",
    "impact_includes_information": "index prices are not known, so the impact of sales includes "
    "what informed traders knew, and may be too large",
    "price_stays_moved": "a price does not recover during the run",
    "whole_positions_are_closed": "whole positions are closed, which is an upper bound",
    "accounts_are_closed_pro_rata": "of a cross account the same share of each position is closed",
    "mark_follows_fully": "the mark price follows the book fully",
    "mark_rule_unknown": "a mark price without a known rule follows the book at once",
    "margin_of_some_positions": "the margin of some positions follows from their leverage, or from "
    "the least initial margin",
    "assumed_isolated": "cross positions of accounts without known collateral count as isolated",
    "open_interest_from_positions": "the open interest is that of the known positions",
    "smallest_positions_left_out": "the smallest positions are left out (risk.max_positions)",
    "no_insurance_fund": "no insurance fund is known",
    "fund_of_the_venue_for_this_symbol_alone": "the insurance fund of the venue stands behind this "
    "symbol alone",
}
_ABOUT_SYMBOLS = {
    "nothing_moves_in": "no mark price or margins of {symbol} are known: nothing is closed there",
    "no_impact_known_of": "the impact of sales of {symbol} is not known yet: they move no price",
}


def describe_assumption(assumption: str) -> str:
    """Return an assumption of a record or an answer in words; an unknown one as it is.

    >>> describe_assumption("linear_contract")
    'unstated contracts are linear'
    >>> describe_assumption("no_impact_known_of:X")
    'the impact of sales of X is not known yet: they move no price'
    """
    kind, _, symbol = assumption.partition(":")
    if kind in _ABOUT_SYMBOLS:
        return _ABOUT_SYMBOLS[kind].format(symbol=symbol)
    return ASSUMPTIONS.get(assumption, assumption)
