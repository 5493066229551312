"""Market lists in each exchange's wire format: the smallest that ccxt loads, and the recorded ones."""

import json
from pathlib import Path
from typing import Any

RECORDED = {
    "binance:spot": "binance/api_v3_exchangeInfo.json",
    "binance:linear": "binance/fapi_v1_exchangeInfo.json",
    "binance:funding": "binance/fapi_v1_fundingInfo.json",
    "kraken:pairs": "kraken/0_public_AssetPairs__cryptofeed.json",
    "okx:SPOT": "okx/api_v5_public_instruments__instType_SPOT__cryptofeed.json",
    "okx:SWAP": "okx/api_v5_public_instruments__instType_SWAP__cryptofeed.json",
    "hyperliquid:swap": "hyperliquid/testnet_metaAndAssetCtxs.json",
}


def recorded_markets(folder: Path) -> dict[str, Any]:
    """The recorded lists of `ccxt_static`.

    Kraken's is of 2021 and still has the dark pools (`XXBTZUSD.d`), which it has closed since and which ccxt would
    take for the lit market of the same symbol.
    """
    lists = {name: json.loads((folder / file).read_text()) for name, file in RECORDED.items()}
    pairs = lists["kraken:pairs"]["result"]
    lists["kraken:pairs"]["result"] = {name: pair for name, pair in pairs.items() if not name.endswith(".d")}
    return lists


def shortened(lists: dict[str, Any]) -> dict[str, Any]:
    """The first markets of each list and those in bitcoin's main pairs: quick to load."""
    kept = {
        name: [one for at, one in enumerate(_entries(name, body)) if at < 5 or _main(one)]
        for name, body in lists.items()
        if name != "binance:funding"
    }
    names = {name for name, pair in lists["kraken:pairs"]["result"].items() if pair in kept["kraken:pairs"]}
    universe, contexts = lists["hyperliquid:swap"]
    places = [at for at, one in enumerate(universe["universe"]) if one in kept["hyperliquid:swap"]]
    return {
        "binance:spot": {"symbols": kept["binance:spot"]},
        "binance:linear": {"symbols": kept["binance:linear"]},
        "kraken:pairs": {
            "error": [],
            "result": {name: pair for name, pair in lists["kraken:pairs"]["result"].items() if name in names},
        },
        "okx:SPOT": {"code": "0", "msg": "", "data": kept["okx:SPOT"]},
        "okx:SWAP": {"code": "0", "msg": "", "data": kept["okx:SWAP"]},
        "hyperliquid:swap": [{"universe": kept["hyperliquid:swap"]}, [contexts[at] for at in places]],
    }


def _entries(name: str, body: Any) -> list[dict[str, Any]]:
    if name.startswith("binance"):
        return list(body["symbols"])
    if name.startswith("kraken"):
        return list(body["result"].values())
    return list(body["data"] if name.startswith("okx") else body[0]["universe"])


def _main(one: dict[str, Any]) -> bool:
    named = one.get("symbol") or one.get("altname") or one.get("instId") or one.get("name")
    return named in ("BTCUSDT", "XBTUSD", "BTC-USDT", "BTC-USDT-SWAP", "BTC-USD-SWAP", "BTC")


def smallest_markets() -> dict[str, Any]:
    """One spot market and one perpetual, with an inverse one where the exchange has such."""
    return {
        "binance:spot": {"symbols": [_binance("0.01", "0.00001", {"minNotional": "10"})]},
        "binance:linear": {"symbols": [_binance("0.10", "0.001", {"notional": "100"}) | _PERPETUAL]},
        "kraken:pairs": {"error": [], "result": {"XXBTZUSD": _KRAKEN}},
        "okx:SPOT": {"code": "0", "msg": "", "data": [_okx_spot()]},
        "okx:SWAP": {"code": "0", "msg": "", "data": [_okx_swap("linear", "USDT"), _okx_swap("inverse", "USD")]},
        "hyperliquid:swap": [
            {"universe": [{"szDecimals": 5, "name": "BTC", "maxLeverage": 50}]},
            [{"funding": "0.00001", "markPx": "98818.0", "midPx": "98851.0"}],
        ],
    }


_PERPETUAL = {
    "contractType": "PERPETUAL",
    "deliveryDate": 4133404800000,
    "onboardDate": 1569398400000,
    "marginAsset": "USDT",
    "pair": "BTCUSDT",
    "liquidationFee": "0.012500",
}
_KRAKEN = {
    "altname": "XBTUSD",
    "wsname": "XBT/USD",
    "status": "online",
    "base": "XXBT",
    "quote": "ZUSD",
    "pair_decimals": 1,
    "lot_decimals": 8,
    "leverage_buy": [2, 3, 4, 5],
    "leverage_sell": [2, 3, 4, 5],
    "fees": [[0, 0.26], [50000, 0.24]],
    "fees_maker": [[0, 0.16]],
    "ordermin": "0.0002",
}


def _binance(tick: str, lot: str, least: dict[str, str]) -> dict[str, Any]:
    return {
        "symbol": "BTCUSDT",
        "status": "TRADING",
        "baseAsset": "BTC",
        "quoteAsset": "USDT",
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "pricePrecision": 2,
        "quantityPrecision": 5,
        "isMarginTradingAllowed": True,
        "permissions": ["SPOT"],
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000", "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": lot, "maxQty": "1000", "stepSize": lot},
            {"filterType": "MIN_NOTIONAL", **least},
        ],
    }


def _okx_spot() -> dict[str, str]:
    return {
        "instId": "BTC-USDT",
        "instType": "SPOT",
        "baseCcy": "BTC",
        "quoteCcy": "USDT",
        "settleCcy": "",
        "ctVal": "",
        "lever": "10",
        "listTime": "1548133413000",
        "lotSz": "0.00000001",
        "minSz": "0.00001",
        "tickSz": "0.1",
        "state": "live",
        "uly": "",
    }


def _okx_swap(kind: str, quote: str) -> dict[str, str]:
    return _okx_spot() | {
        "instId": f"BTC-{quote}-SWAP",
        "instType": "SWAP",
        "baseCcy": "",
        "quoteCcy": "",
        "settleCcy": "USDT" if kind == "linear" else "BTC",
        "ctType": kind,
        "ctVal": "0.01" if kind == "linear" else "100",
        "lever": "125",
        "listTime": "1611916828000",
        "lotSz": "1",
        "minSz": "1",
        "uly": f"BTC-{quote}",
    }
