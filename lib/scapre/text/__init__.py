"""Sentences in; features c and their moments out: all an edit needs to know of its concepts.

``embeddings`` encodes and pairs token positions (c_{k,t}, ñ_t), ``gathering`` leads from names to ``statistics``
(C, C*, R, e₀, the gram S and the cross X), ``conflict`` says from features alone what an edit will disturb;
``inner`` reads the encoder's feed-forwards, ``vocabulary`` its own words, ``kept`` lists; ``store`` holds both on disk.
``inputs`` is what lies between encoder and layers, ``streams`` the statistics behind it.
"""
