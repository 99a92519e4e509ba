"""Every figure: a function takes data and returns a Figure, `style.save` writes it.

`origin` ("real" or "simulated") is asked for everywhere, because simulated data are named so in every title.
"""
